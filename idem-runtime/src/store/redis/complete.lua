-- ARGV: owner, fence, record, ttl, how long the row is kept, channel, '1' if a WAIT follows.
if not (sound and ow == ARGV[1] and fe == ARGV[2]) then return { 0, now, row } end
-- A write that changes nothing, so that a WAIT after this script covers the first completion.
if st == DONE and ARGV[7] == '1' then redis.call('SETRANGE', key, 0, row:sub(1, 1)) end
if st ~= RUNNING and st ~= UNKNOWN then return { 0, now, row } end
st, un, pu, db = DONE, now + ARGV[4], purged(ARGV[5]), ''
record, channel = ARGV[3], ARGV[6]
