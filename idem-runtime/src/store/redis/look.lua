-- How many microseconds the key is still held for; where it is, notes that somebody waits, so that its ending is told.
if not (row and sound) or over or (st ~= RUNNING and st ~= KEPT) then return 0 end
if not wa then redis.call('SETRANGE', key, 3, string.char(marks + 1)) end
return un - now
