-- The row's parts, and whether it can be worked with.
local RUNNING, UNKNOWN, KEPT, FREE, DONE = '1', '2', '3', '4', '5'
-- The fields, for a script to change and then `write`.
local st, un, pu, db, fe, at, pv, pf, ow, fp, en
-- Whether a script may write from what it read. A row that it can't work with is left as it is, for the client, which reads
-- just as strictly, to say what is wrong.
local sound = not row
if row then
  local has, from
  st, un, pu, db, fe, at, pv, pf, has, from =
    row:match('^([1-5]),(%d+),(%d*),(%d*),(%d+),(%d+),([1-3]),(%d*),([01]),()')
  if st then
    local upto = from + 16 + 16 * has
    ow, fp, en = row:sub(from, from + 15), row:sub(from + 16, upto - 1), row:sub(upto)
    sound = #row >= upto - 1 and #en % 16 == 0 and #en <= 64 and (pv == '3') == (pf ~= '')
  end
end
local over = st and tonumber(un) <= now
local expires = pu

-- The row as it was found, for the client to answer from; whether this script has written it.
local function found(written) return { written, now, row } end

