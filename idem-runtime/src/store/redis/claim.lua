-- ARGV: owner, lease, how long the row is kept or '', fingerprint or '', '1' to take an orphan over, '1' if a WAIT
-- follows.
local me, mine, take = ARGV[1], ARGV[4], ARGV[5] == '1'
local repeated = st == RUNNING and ow == me
local orphan = st == RUNNING or st == KEPT or st == UNKNOWN
if not sound or ((st == KEPT or st == RUNNING) and not over and not repeated) then return { 0, now, row } end
if st and not repeated then
  if remembers(me) or (orphan and (not take or (fp ~= mine and fp ~= '' and mine ~= ''))) then return { 0, now, row } end
end

if not row then
  st, ow, fe, at, pv, fp = RUNNING, me, eight(now), 1, 1, mine
elseif not repeated then
  -- A holder that released the key before its body ran changed nothing: the outcome of the holder before it is still
  -- unknown.
  local doubt = (st == UNKNOWN and db ~= '') and db or fe
  at = st == DONE and 1 or math.min(at + 1, 4294967295)
  fe, en, db = eight(math.max(now, number(fe) + 1)), left(ow), ''
  if st == DONE then
    pv, pf = 1, ''
  elseif orphan then
    pv, pf, db = 3, doubt, doubt
  end
  st, ow, fp = RUNNING, me, mine
end
un, pu = now + ARGV[2], purged(ARGV[3])
answer = { 1, now, row }
