-- The fields of the row, for a script to change and then have written, and whether it may: a row that it can't work with is
-- left as it is, for the client, which reads just as strictly, to say what is wrong.
local RUNNING, UNKNOWN, KEPT, FREE, DONE = '1', '2', '3', '4', '5'
local st, un, pu, db, fe, at, pv, pf, ow, fp, en
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

-- What else to write: the record of a completion. Whom to tell that the key changed hands. What to answer then: a script
-- that writes nothing answers with the row that it found.
local record, channel, answer = nil, nil, 1

-- A number as the row holds it: tostring would round a fence.
local function text(number) return string.format('%.0f', number) end

-- When the row expires if it stays so long: '' is for ever. Counts from the fence where that lies ahead, because the clock
-- was set back.
local function purged(stays) return stays == '' and '' or text(math.max(now, fe) + stays) end

