-- ARGV: what an operator says ('executed', 'unrun' or 'forget'), channel, how long a row that nobody needs stays; with
-- 'executed' the record and its ttl.
local how, linger = ARGV[1], ARGV[3]
local orphan = st == UNKNOWN or ((st == RUNNING or st == KEPT) and over)
if not (row and sound) or (how ~= 'forget' and not orphan) then return { 0, now, row } end

-- The fence grows: whoever held the key is shut out.
en, fe, db, channel = left(ow), eight(number(fe) + 1), '', ARGV[2]
if how == 'executed' then
  st, un, pu, record = DONE, now + ARGV[5], purged(ARGV[5] + linger), ARGV[4]
else
  st, pv, pf, fp, pu = FREE, 1, '', '', purged(linger)
end
