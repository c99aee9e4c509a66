-- What every script begins with: the server's time, the row, and the words to write it with.
--
-- A row is a hash: st state (1 running, 2 unknown, 3 kept, 4 free, 5 done), ow owner (16 bytes), fe fence,
-- un lease or ttl end, db fence in doubt, pv what the claim was told of its predecessor (1 first, 2 failed, 3 crashed),
-- pf that predecessor's fence, at attempts, fp fingerprint (16 bytes), en the last owners that left (4 x 16 bytes, newest
-- first), pu when it expires, re record, wa that somebody waits. Times are microseconds; what there is none of is ''.
local RUNNING, UNKNOWN, KEPT, FREE, DONE = '1', '2', '3', '4', '5'
local key = KEYS[1]
-- Once: it moves on while a script runs.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local fields = redis.call('HMGET', key, 'st', 'ow', 'fe', 'un', 'db', 'pv', 'pf', 'at', 'fp', 'en', 'pu', 'wa')
local st, ow, fe, ends, db, pv, pf, at, fp, en, pu, wa = unpack(fields)
local exists = st or redis.call('EXISTS', key) == 1

-- Garbage counts as over, and is then found not to be sound.
local over = st and (tonumber(ends) or 0) <= now

-- Whether a script may write from what it read. A row that it can't work with is left as it is, for the client, which reads
-- just as strictly, to say what is wrong.
local function sound()
  if not st then return not exists end
  local function number(text) return text and text:find('^%d+$') end
  local function optional(text) return text == '' or number(text) end
  return st:find('^[1-5]$') and ow and #ow == 16 and number(fe) and number(ends) and optional(db) and number(at)
    and pv and pv:find('^[1-3]$') and optional(pf) and (pv == '3') == (pf ~= '') and fp and (#fp == 0 or #fp == 16)
    and en and #en % 16 == 0 and #en <= 64 and optional(pu)
end

-- A number as the row holds it: tostring would round a fence.
local function text(number) return string.format('%.0f', number) end

-- The row as it was found, for the client to answer from; whether this script has written it.
local function found(written, record)
  return { written, now, exists and 1 or 0, st, ow, fe, ends, db, pv, pf, at, fp, en, pu, record }
end

-- Has the key expire when the row may be deleted: '' is never.
local function expire(at)
  if at == '' then redis.call('PERSIST', key) else redis.call('PEXPIREAT', key, text(math.ceil(at / 1000))) end
end

-- `from`, and a duration that the client sent: '' is for ever.
local function after(from, duration)
  if duration == '' then return '' end
  return text(from + tonumber(duration))
end

-- Whether this owner held the key, or left it.
local function remembers(owner)
  if ow == owner then return true end
  for i = 1, #en, 16 do
    if en:sub(i, i + 15) == owner then return true end
  end
  return false
end

-- The owners that left, and this one.
local function left(owner)
  for i = 1, #en, 16 do
    if en:sub(i, i + 15) == owner then return en end
  end
  return (owner .. en):sub(1, 64)
end

-- Writes to the row without changing it, so that a WAIT behind this script covers whoever wrote it.
local function touch() redis.call('HSET', key, 'st', st) end

-- Tells those who wait that the key changed hands. An ending stands even where publishing is forbidden.
local function wake(channel)
  if wa then
    redis.call('HDEL', key, 'wa')
    redis.pcall('PUBLISH', channel, key)
  end
end

