-- ARGV: owner, lease, how long the row stays beyond it or '', fingerprint or '', '1' to take an orphan, '1' if a WAIT follows.
local me, lease, beyond, mine, take, waits = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5] == '1', ARGV[6] == '1'
-- What most duplicates find; the client says what follows from it.
if st == DONE and not over then
  if waits then touch() end
  return found(0, redis.call('HGET', key, 're'))
end
if (st == KEPT or (st == RUNNING and ow ~= me)) and not over then return found(0) end
if not sound() then return found(0) end

local ends_at = now + lease
local purge = after(ends_at, beyond)
if st == RUNNING and ow == me then
  redis.call('HSET', key, 'un', text(ends_at), 'pu', purge)
  expire(purge)
  return found(1)
end
local orphan = st == RUNNING or st == KEPT or st == UNKNOWN
if st and remembers(me) then return found(0) end
if orphan and (not take or (fp ~= mine and fp ~= '' and mine ~= '')) then return found(0) end

local fence, attempt, previous, crashed, doubt, ended = now, 1, '1', '', '', ''
if st then
  fence, ended = math.max(now, tonumber(fe) + 1), left(ow)
  if st ~= DONE then attempt = math.min(tonumber(at) + 1, 4294967295) end
  if st == FREE then
    previous, crashed = pv, pf
  elseif orphan then
    -- A holder that left before its body ran did nothing: the one before it is still in doubt.
    doubt = (st == UNKNOWN and db ~= '') and db or fe
    previous, crashed = '3', doubt
  end
end
redis.call('HSET', key, 'st', RUNNING, 'ow', me, 'fe', text(fence), 'un', text(ends_at), 'db', doubt, 'pv', previous,
  'pf', crashed, 'at', text(attempt), 'fp', mine, 'en', ended, 'pu', purge)
if st == DONE then redis.call('HDEL', key, 're') end
expire(purge)
return found(1)
