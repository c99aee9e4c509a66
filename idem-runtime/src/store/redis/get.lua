return found(0, redis.call('HGET', key, 're'))
