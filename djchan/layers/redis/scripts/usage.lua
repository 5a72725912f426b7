#!lua flags=allow-oom
-- Return the messages that wait, and the bytes that are parked, due and dead.
-- KEYS[1]  base
-- ARGV     none
-- Answer   {{channel, messages and bytes, ...}, {field, bytes, ...}}
return {redis.call('HGETALL', base .. 'n'), redis.call('HGETALL', base .. 'bytes')}
