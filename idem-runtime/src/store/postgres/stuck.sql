
-- The keys whose last call never said how it ended, for an operator to look at. Run this after schema.sql, in the same
-- schema. One row for each key:
--
--   scope, key  the key as text; the parts of a composite key are divided by `/`, and bytes that are no ASCII are `\303`
--   why         `parked: ` nobody runs it until an operator resolves it, or the handler's `on_crash` function does;
--               `abandoned: ` the next delivery takes it over. Then how the call ended: `killed or cut off` (its
--               lease ran out), `dropped or panicked`, `kept after an error`
--   since       when that call claimed the key
CREATE OR REPLACE VIEW "idem_keys_stuck" AS
SELECT
    scope,
    replace(ltrim(encode(key, 'escape'), chr(31)), chr(31), '/') AS key,
    CASE WHEN purge_at IS NULL THEN 'parked: ' ELSE 'abandoned: ' END
        || CASE state WHEN 1 THEN 'killed or cut off' WHEN 2 THEN 'dropped or panicked' ELSE 'kept after an error' END
        AS why,
    to_timestamp(fence / 1000000.0) AS since
FROM "idem_keys"
WHERE state IN (1, 2, 3)
    AND (state = 2 OR until <= (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint));
