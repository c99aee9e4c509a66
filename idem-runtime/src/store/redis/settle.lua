-- ARGV: the resolution ('executed', 'unrun' or 'forget'), channel, how long a row is kept that is no longer needed;
-- with 'executed' also the record and its ttl.
local how, linger = ARGV[1], ARGV[3]
local applies = how == 'forget' or st == UNKNOWN or ((st == RUNNING or st == KEPT) and over)
-- A record that an operator wrote has a fence in doubt, and a handler's record has none.
if st == DONE and not over and db ~= '' and how == 'executed' then applies = true end
if not (row and sound and applies) then return { 0, now, row } end

-- A holder that released the key before its body ran changed nothing: the outcome of the holder before it is still
-- unknown.
local doubt = (st == UNKNOWN or st == DONE) and db ~= '' and db or fe
-- The fence grows, so the last holder can't complete the key any more.
en, fe, channel = left(ow), eight(number(fe) + 1), ARGV[2]
if how == 'executed' then
  st, db, un, pu, record = DONE, doubt, now + ARGV[5], purged(ARGV[5] + linger), ARGV[4]
else
  st, db, pv, pf, fp, pu = FREE, '', 1, '', '', purged(linger)
end
