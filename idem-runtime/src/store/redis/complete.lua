-- ARGV: owner, fence, record, ttl, how long the row stays beyond it, channel, '1' if a WAIT follows.
if not (ow == ARGV[1] and fe == ARGV[2] and sound()) then return found(0) end
if st == DONE and ARGV[7] == '1' then touch() end
if st ~= RUNNING and st ~= UNKNOWN then return found(0) end
local ends_at = now + tonumber(ARGV[4])
local purge = after(ends_at, ARGV[5])
redis.call('HSET', key, 'st', DONE, 're', ARGV[3], 'un', text(ends_at), 'db', '', 'pu', purge)
expire(purge)
wake(ARGV[6])
return 1
