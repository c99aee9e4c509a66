-- ARGV: owner, fence, how ('failed', 'unknown', 'keep' or 'unrun'), how long a failed attempt stays, how long a row
-- that nobody needs stays, channel.
local me, how, failed, linger = ARGV[1], ARGV[3], ARGV[4], ARGV[5]
if not sound() then return found(0) end

-- Nobody's key, for so long.
local function free(attempt, stays, previous)
  local purge = after(now, stays)
  redis.call('HSET', key, 'st', FREE, 'at', attempt, 'db', '', 'pv', previous, 'pf', previous == '3' and pf or '', 'pu', purge)
  expire(purge)
end

if how == 'unrun' then
  if not st then
    redis.call('HSET', key, 'ow', me, 'fe', '0', 'un', text(now), 'fp', '', 'en', '')
    free('0', linger, '1')
  elseif st == RUNNING and ow == me then
    local attempt = text(math.max(tonumber(at) - 1, 0))
    if db ~= '' then
      -- An orphan again: its outcome is as unknown as before.
      redis.call('HSET', key, 'st', UNKNOWN, 'at', attempt)
    else
      free(attempt, pv == '2' and failed or linger, pv)
    end
    wake(ARGV[6])
  elseif not remembers(me) then
    redis.call('HSET', key, 'en', left(me))
    -- A row that expires forgets who left.
    if pu ~= '' and tonumber(pu) < now + tonumber(linger) then
      local purge = after(now, linger)
      redis.call('HSET', key, 'pu', purge)
      expire(purge)
    end
  end
  return 1
end

if not (ow == me and fe == ARGV[2]) then return found(0) end
if how == 'failed' and (st == RUNNING or st == UNKNOWN) then
  free(at, failed, '2')
elseif how == 'unknown' and st == RUNNING then
  redis.call('HSET', key, 'st', UNKNOWN, 'db', fe)
elseif how == 'keep' and st == RUNNING then
  -- Still held, until its lease ends: nobody is woken.
  redis.call('HSET', key, 'st', KEPT)
  return 1
else
  return found(0)
end
wake(ARGV[6])
return 1
