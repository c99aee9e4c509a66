
-- What every script that writes ends with.
local fields = st .. ',' .. un .. ',' .. pu .. ',' .. db .. ',' .. fe .. ',' .. at .. ',' .. pv .. ',' .. pf
  .. (fp == '' and ',0,' or ',1,') .. ow .. fp .. en
if record then
  redis.call('HSET', key, 'row', fields, 're', record)
else
  redis.call('HSET', key, 'row', fields)
end
-- The key expires when the row may be deleted: '' is never.
if pu == '' then
  if expires and expires ~= '' then redis.call('PERSIST', key) end
elseif pu ~= expires then
  redis.call('PEXPIREAT', key, math.ceil(pu / 1000))
end
-- Only where somebody waits. An ending stands even where publishing is forbidden.
if channel and wa then
  redis.call('HDEL', key, 'wa')
  redis.pcall('PUBLISH', channel, key)
end
return answer
