-- What every script begins with: the server's time, and what is there.
--
-- A row is a hash: `row` what the protocol says, `re` the record of a completed one, `wa` that somebody waits. `row` is
-- "st,un,pu,db,fe,at,pv,pf,has," and behind it, in bytes, ow fp en:
-- st state (1 running, 2 unknown, 3 kept, 4 free, 5 done), un lease or ttl end, pu when it expires, db fence in doubt,
-- fe fence, at attempts, pv what the claim was told of its predecessor (1 first, 2 failed, 3 crashed), pf that
-- predecessor's fence, has 1 with a fingerprint; ow owner (16 bytes), fp fingerprint (16 bytes or none), en the last owners
-- that left (up to 4 x 16 bytes, newest first). Times are microseconds. What there is none of is empty.
--
-- One text, because each field of a hash costs the server as much as reading a whole text.
local key = KEYS[1]
-- Once: it moves on while a script runs.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local row, wa, re = unpack(redis.call('HMGET', key, 'row', 'wa', 're'))
-- A hash without a row is no absent row: it has lost it, or is somebody else's. An empty text can't be read.
if not row and redis.call('HLEN', key) > 0 then row = '' end

