
-- The keys whose last call never said how it ended, for an operator to look at. Run this after schema.sql, in the same
-- database. One row for each key:
--
--   scope, key  the key as text; the parts of a composite key are divided by `/`
--   why         `parked: ` nobody runs it until an operator resolves it, or the handler's `on_crash` function does;
--               `abandoned: ` the next delivery takes it over. Then how the call ended: `killed or cut off` (its
--               lease ran out), `dropped or panicked`, `kept after an error`
--   since       when that call claimed the key, in UTC
--
-- A user who reads the view also needs SELECT on the table.
CREATE OR REPLACE SQL SECURITY INVOKER VIEW `idem_keys_stuck` AS
SELECT
    CONVERT(scope USING utf8mb4) AS scope,
    CONVERT(REPLACE(TRIM(LEADING X'1F' FROM `key`), X'1F', '/') USING utf8mb4) AS `key`,
    CONCAT(
        IF(purge_at IS NULL, 'parked: ', 'abandoned: '),
        CASE state WHEN 1 THEN 'killed or cut off' WHEN 2 THEN 'dropped or panicked' ELSE 'kept after an error' END
    ) AS why,
    TIMESTAMPADD(MICROSECOND, fence, TIMESTAMP '1970-01-01 00:00:00') AS since
FROM `idem_keys`
WHERE state = 2 OR (state IN (1, 3) AND until <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)));
