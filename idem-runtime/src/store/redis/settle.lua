-- ARGV: what an operator says ('executed', 'unrun' or 'forget'), channel, how long a row that nobody needs stays; with
-- 'executed' the record and its ttl.
local how, linger = ARGV[1], ARGV[3]
local orphan = st == UNKNOWN or ((st == RUNNING or st == KEPT) and over)
if not (st and sound()) or (how ~= 'forget' and not orphan) then return found(0) end

-- The fence grows: whoever held the key is shut out.
redis.call('HSET', key, 'en', left(ow), 'fe', text(tonumber(fe) + 1), 'db', '')
local purge
if how == 'executed' then
  local ends_at = now + tonumber(ARGV[5])
  purge = after(ends_at, linger)
  redis.call('HSET', key, 'st', DONE, 'un', text(ends_at), 're', ARGV[4], 'pu', purge)
else
  purge = after(now, linger)
  redis.call('HSET', key, 'st', FREE, 'pv', '1', 'pf', '', 'fp', '', 'pu', purge)
  redis.call('HDEL', key, 're')
end
expire(purge)
wake(ARGV[2])
return 1
