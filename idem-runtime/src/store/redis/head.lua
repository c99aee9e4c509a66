-- What every script begins with: the server's time, and what is there.
--
-- A row is one string, as a hash costs the server more than half as much again. It begins with 48 bytes, numbers big-endian:
--
--   1 the layout, 1          1 st state (1 running, 2 unknown, 3 kept, 4 free, 5 done)
--   1 pv what the claim was told of its predecessor (1 first, 2 failed, 3 crashed)
--   1 marks: 1 somebody waits, 2 a fingerprint, 4 a doubt, and 8 for each owner in en
--   4 at attempts            8 un lease or ttl end            8 pu when it expires, or 0
--   8 fe fence              16 ow owner
--
-- Behind them is what there is of: 8 pf the fence of a predecessor that crashed, 8 db the fence in doubt (of
-- a completed row: that was, and an operator told the outcome), 16 fp fingerprint, en the last owners that left (up to 4 x 16,
-- newest first), and the record of a completed row. Times are microseconds.
local key = KEYS[1]
-- Once: it moves on while a script runs.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- All of it but a large record, which is read where it is answered with.
local READ = 4096
local row = redis.call('GETRANGE', key, 0, READ - 1)
-- An empty text is no absent row, and can't be read.
if row == '' then row = redis.call('EXISTS', key) == 1 and '' end

