#!lua flags=allow-oom
-- Delete a dead letter.
-- KEYS[1]  base
-- ARGV     channel, id
-- Answer   1; 0: there is no such letter
local letters = base .. 'dead:' .. ARGV[1]
local deleted = redis.call('XDEL', letters, ARGV[2])
if redis.call('XLEN', letters) == 0 then redis.call('SREM', base .. 'deads', ARGV[1]) end
return deleted
