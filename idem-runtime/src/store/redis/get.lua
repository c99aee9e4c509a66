if row and #row == READ then row = redis.call('GET', key) end
return { 0, now, row }
