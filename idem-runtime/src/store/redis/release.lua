-- ARGV: owner, fence, how ('failed', 'unknown', 'keep' or 'unrun'), how long the row of a failed attempt is kept, how
-- long a row is kept that is no longer needed, channel.
local me, how, failed, linger = ARGV[1], ARGV[3], ARGV[4], ARGV[5]
local held = ow == me and fe == ARGV[2]
if not sound then return { 0, now, row } end

if how == 'unrun' then
  if not row then
    st, ow, fe, un, at, pv = FREE, me, eight(0), now, 0, 1
    pu = purged(linger)
  elseif st == RUNNING and ow == me and db == '' then
    st, at, pu, channel = FREE, math.max(at - 1, 0), purged(pv == 2 and failed or linger), ARGV[6]
  else
    -- The row has to remember for this long which owners released the key.
    local stays = pu ~= 0 and math.max(pu, purged(linger)) or 0
    if st == RUNNING and ow == me then
      -- The key is an orphan again: its outcome is still unknown.
      st, at, channel = UNKNOWN, math.max(at - 1, 0), ARGV[6]
    elseif not remembers(me) then
      en = left(me)
    elseif stays == pu then
      return 1
    end
    pu = stays
  end
elseif how == 'failed' and held and (st == RUNNING or st == UNKNOWN) then
  st, db, pv, pf, pu, channel = FREE, '', 2, '', purged(failed), ARGV[6]
elseif how == 'unknown' and held and st == RUNNING then
  st, db, channel = UNKNOWN, fe, ARGV[6]
elseif how == 'keep' and held and st == RUNNING then
  -- The key is held until its lease ends, so nothing is published.
  st = KEPT
else
  return { 0, now, row }
end
