#!lua flags=allow-oom
-- Tell what is waiting, and how many bytes lie beside it.
-- KEYS[1]  base
-- ARGV     none
-- Answer   {{channel, messages and bytes, ...}, {field, bytes, ...}}
return {redis.call('HGETALL', base .. 'n'), redis.call('HGETALL', base .. 'bytes')}
