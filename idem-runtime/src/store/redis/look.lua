-- How many microseconds the key is still held for; where it is, notes that somebody waits, so that its ending is told.
if over or (st ~= RUNNING and st ~= KEPT) then return 0 end
if not wa then redis.call('HSET', key, 'wa', '1') end
return tonumber(un) - now
