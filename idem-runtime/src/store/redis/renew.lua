-- ARGV: owner, fence, lease, how long the row is kept or ''.
if not (sound and st == RUNNING and ow == ARGV[1] and fe == ARGV[2]) then return { 0, now, row } end
un, pu = now + ARGV[3], purged(ARGV[4])
