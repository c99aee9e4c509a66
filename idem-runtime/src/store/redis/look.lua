-- Returns how many microseconds the key is still held for. If it is held, marks the row so that its ending is
-- published.
if not (row and sound) or over or (st ~= RUNNING and st ~= KEPT) then return 0 end
if not wa then redis.call('SETRANGE', key, 3, string.char(marks + 1)) end
return un - now
