-- ARGV: owner, lease, how long the row stays beyond it or '', fingerprint or '', '1' to take an orphan, '1' if a WAIT follows.
local me, lease, beyond, mine, take = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'
if (st == KEPT or (st == RUNNING and ow ~= me)) and not over then return found(0) end
if not sound then return found(0) end

local orphan = st == RUNNING or st == KEPT or st == UNKNOWN
if not (st == RUNNING and ow == me) then
  if st and remembers(me) then return found(0) end
  if orphan and (not take or (fp ~= mine and fp ~= '' and mine ~= '')) then return found(0) end
end

local ends_at = now + lease
un, pu = text(ends_at), after(ends_at, beyond)
if st == RUNNING and ow == me then
  write()
  return found(1)
end
if not st then
  fe, at, pv, pf, db, en = text(now), '1', '1', '', '', ''
else
  -- A holder that left before its body ran did nothing: the one before it is still in doubt.
  local doubt = (st == UNKNOWN and db ~= '') and db or fe
  at = st == DONE and '1' or text(math.min(at + 1, 4294967295))
  fe, en, db = text(math.max(now, fe + 1)), left(ow), ''
  if st == DONE then
    pv, pf = '1', ''
    redis.call('HDEL', key, 're')
  elseif orphan then
    pv, pf, db = '3', doubt, doubt
  end
end
st, ow, fp = RUNNING, me, mine
write()
return found(1)
