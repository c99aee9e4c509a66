-- The words to write a row with.

-- A number as the row holds it: tostring would round a fence.
local function text(number) return string.format('%.0f', number) end

-- Writes the fields, and others of the hash behind them. Has the key expire when the row may be deleted: '' is never.
local function write(...)
  local has = fp == '' and ',0,' or ',1,'
  redis.call('HSET', key, 'row', st .. ',' .. un .. ',' .. pu .. ',' .. db .. ',' .. fe .. ',' .. at .. ',' .. pv .. ','
    .. pf .. has .. ow .. fp .. en, ...)
  if pu ~= '' then
    if pu ~= expires then redis.call('PEXPIREAT', key, math.ceil(pu / 1000)) end
  elseif expires and expires ~= '' then
    redis.call('PERSIST', key)
  end
end

-- `from`, and a duration that the client sent: '' is for ever.
local function after(from, duration)
  if duration == '' then return '' end
  return text(from + duration)
end

-- Tells those who wait that the key changed hands. An ending stands even where publishing is forbidden.
local function wake(channel)
  if wa then
    redis.call('HDEL', key, 'wa')
    redis.pcall('PUBLISH', channel, key)
  end
end

