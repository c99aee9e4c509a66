-- ARGV: owner, fence, lease, how long the row stays beyond it or ''.
if not (st == RUNNING and ow == ARGV[1] and fe == ARGV[2] and sound()) then return found(0) end
local ends_at = now + tonumber(ARGV[3])
local purge = after(ends_at, ARGV[4])
redis.call('HSET', key, 'un', text(ends_at), 'pu', purge)
expire(purge)
return 1
