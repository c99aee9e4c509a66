-- ARGV: what an operator says ('executed', 'unrun' or 'forget'), channel, how long a row that nobody needs stays; with
-- 'executed' the record and its ttl.
local how, linger = ARGV[1], ARGV[3]
local applies = how == 'forget' or st == UNKNOWN or ((st == RUNNING or st == KEPT) and over)
-- An operator's record has a doubt, and a handler's own has none.
if st == DONE and not over and db ~= '' and how == 'executed' then applies = true end
if not (row and sound and applies) then return { 0, now, row } end

-- A holder that left before its body ran did nothing: the one before it is still in doubt.
local doubt = (st == UNKNOWN or st == DONE) and db ~= '' and db or fe
-- The fence grows: whoever held the key is shut out.
en, fe, channel = left(ow), eight(number(fe) + 1), ARGV[2]
if how == 'executed' then
  st, db, un, pu, record = DONE, doubt, now + ARGV[5], purged(ARGV[5] + linger), ARGV[4]
else
  st, db, pv, pf, fp, pu = FREE, '', 1, '', '', purged(linger)
end
