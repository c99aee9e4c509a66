
-- The end of every script that writes. A row that stays completed keeps its record.
if st == DONE and not record then
  if #row == READ then row = redis.call('GET', key) end
  record = row:sub(from)
end
-- Publish only if a caller waits.
local told = channel and wa
marks = ((wa and not told) and 1 or 0) + (fp ~= '' and 2 or 0) + (db ~= '' and 4 or 0) + #en / 2
local head = struct.pack('>BBBBI4I8I8', 1, st, pv, marks, at, un, pu) .. fe .. ow .. pf .. db .. fp .. en
-- SET also removes an earlier expiry.
redis.call('SET', key, head .. (record or ''))
if pu ~= 0 then redis.call('PEXPIREAT', key, math.ceil(pu / 1000)) end
-- pcall, because the write counts even if the user may not publish.
if told then redis.pcall('PUBLISH', channel, key) end
return answer
