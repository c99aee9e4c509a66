
-- The keys whose last call never said how it ended, for an operator to look at. Run this after
-- schema.sql. One row for each key:
--
--   scope, key  the key as text; the parts of a composite key are divided by `/`
--   why         `parked: ` nobody runs it until an operator resolves it, or the handler's `on_crash` function does;
--               `abandoned: ` the next delivery takes it over. Then how the call ended: `killed or cut off` (its
--               lease ran out), `dropped or panicked`, `kept after an error`
--   since       when that call claimed the key, in UTC
CREATE VIEW IF NOT EXISTS "idem_keys_stuck" AS
SELECT
    scope,
    replace(ltrim(CAST(key AS TEXT), char(31)), char(31), '/') AS key,
    CASE WHEN purge_at IS NULL THEN 'parked: ' ELSE 'abandoned: ' END
        || CASE state WHEN 1 THEN 'killed or cut off' WHEN 2 THEN 'dropped or panicked' ELSE 'kept after an error' END
        AS why,
    strftime('%Y-%m-%d %H:%M:%f', fence / 1000000.0, 'unixepoch') AS since
FROM "idem_keys"
WHERE state = 2 OR (state IN (1, 3) AND until <= (julianday('now') - 2440587.5) * 86400000000);
