-- ARGV: what an operator says ('executed', 'unrun' or 'forget'), channel, how long a row that nobody needs stays; with
-- 'executed' the record and its ttl.
local how, linger = ARGV[1], ARGV[3]
local orphan = st == UNKNOWN or ((st == RUNNING or st == KEPT) and over)
if not (row and sound) or (how ~= 'forget' and not orphan) then return { 0, now, row } end

-- The fence grows: whoever held the key is shut out.
en, fe, db, channel = left(ow), text(fe + 1), '', ARGV[2]
if how == 'executed' then
  local ends_at = now + ARGV[5]
  st, un, pu, record = DONE, text(ends_at), after(ends_at, linger), ARGV[4]
else
  if re then redis.call('HDEL', key, 're') end
  st, pv, pf, fp, pu = FREE, '1', '', '', after(now, linger)
end
