#!lua flags=allow-oom
-- Delete a dead letter.
-- KEYS[1]  base
-- ARGV     channel, id
-- Answer   1; 0: there is no such letter
local letters = base .. 'dead:' .. ARGV[1]
local letter = redis.call('XRANGE', letters, ARGV[2], ARGV[2])[1]
if not letter then
  return 0
end
forget_letter(ARGV[1], letter)
if redis.call('XLEN', letters) == 0 then redis.call('SREM', base .. 'deads', ARGV[1]) end
return 1
