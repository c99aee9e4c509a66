-- ARGV: owner, fence, how ('failed', 'unknown', 'keep' or 'unrun'), how long the row of a failed attempt is kept, how
-- long a row is kept that is no longer needed, channel.
local me, how, failed, linger = ARGV[1], ARGV[3], ARGV[4], ARGV[5]
local held = ow == me and fe == ARGV[2]
if not sound then return { 0, now, row } end

if how == 'unrun' then
  if not row then
    st, ow, fe, un, at, pv = FREE, me, eight(0), now, 0, 1
    pu = purged(linger)
  elseif st == RUNNING and ow == me then
    at, channel = math.max(at - 1, 0), ARGV[6]
    if db ~= '' then
      -- The key is an orphan again: its outcome is still unknown.
      st = UNKNOWN
    else
      st, pu = FREE, purged(pv == 2 and failed or linger)
    end
  elseif remembers(me) then
    return 1
  else
    en = left(me)
    -- The row has to remember for this long which owners released the key.
    if pu ~= 0 then pu = math.max(pu, purged(linger)) end
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
