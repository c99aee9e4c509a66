-- ARGV: owner, fence, lease, how long the row stays beyond it or ''.
if not (sound and st == RUNNING and ow == ARGV[1] and fe == ARGV[2]) then return { 0, now, row } end
local ends_at = now + ARGV[3]
un, pu = text(ends_at), after(ends_at, ARGV[4])
