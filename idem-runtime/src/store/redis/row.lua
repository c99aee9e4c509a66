-- The fields of the row, which a script changes and write.lua writes, and whether the script may change them. A row
-- that isn't sound is not changed: the client, which reads just as strictly, reports what is wrong.
local RUNNING, UNKNOWN, KEPT, FREE, DONE = 1, 2, 3, 4, 5
local st, pv, marks, at, un, pu, fe, ow
local pf, db, fp, en = '', '', '', ''
local sound, from = not row, 49
if row and #row >= 48 then
  local layout
  layout, st, pv, marks, at, un, pu, fe, ow = struct.unpack('>BBBBI4I8I8c8c16', row)
  if pv == 3 then pf, from = row:sub(from, from + 7), from + 8 end
  if marks % 8 >= 4 then db, from = row:sub(from, from + 7), from + 8 end
  if marks % 4 >= 2 then fp, from = row:sub(from, from + 15), from + 16 end
  local owners = (marks - marks % 8) * 2
  en, from = row:sub(from, from + owners - 1), from + owners
  sound = layout == 1 and st >= 1 and st <= 5 and pv >= 1 and pv <= 3 and owners <= 64
    and (#row == from - 1 or (st == DONE and #row >= from))
end
local over = st and un <= now
local wa = sound and row and marks % 2 == 1

-- What write.lua also uses: the record of a completion, the channel on which to publish that the key was completed or
-- released, and the script's answer. A script that writes nothing answers with the row that it found.
local record, channel, answer = nil, nil, 1

-- Converts a fence to the row's 8 bytes, which lose no digit, and back to a number.
local function eight(number) return struct.pack('>I8', number) end
local function number(fence) return (struct.unpack('>I8', fence)) end

-- When the row expires if it is kept for this long; '' is for ever. Counts from the fence if the fence is ahead,
-- because the clock was set back.
local function purged(stays) return stays == '' and 0 or math.max(now, number(fe)) + stays end

