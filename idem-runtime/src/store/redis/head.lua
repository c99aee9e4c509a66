-- The beginning of every script: reads the server's time and the row.
--
-- A row is one string, because a hash takes more than half as much memory again. It begins with 48 bytes, with
-- big-endian numbers:
--
--   1 the layout, 1          1 st state (1 running, 2 unknown, 3 kept, 4 free, 5 done)
--   1 pv what the claim was told of its predecessor (1 first, 2 failed, 3 crashed)
--   1 marks: 1 somebody waits, 2 a fingerprint, 4 a doubt, and 8 for each owner in en
--   4 at attempts            8 un lease or ttl end            8 pu when it expires, or 0
--   8 fe fence              16 ow owner
--
-- Then follow the parts that the row has: 8 pf the fence of a predecessor that crashed, 8 db the fence in doubt (of a
-- completed row: the fence that was in doubt before an operator resolved it), 16 fp fingerprint, en the last owners
-- that released the key (up to 4 x 16, newest first), and the record of a completed row. Times are microseconds.
local key = KEYS[1]
-- Read once, because it advances while a script runs.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- Reads the row without the rest of a large record. A script that answers with the record reads it whole.
local READ = 4096
local row = redis.call('GETRANGE', key, 0, READ - 1)
-- An empty string is not an absent row: it is a row that can't be read.
if row == '' then row = redis.call('EXISTS', key) == 1 and '' end

