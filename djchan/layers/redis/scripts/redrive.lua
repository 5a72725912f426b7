#!lua flags=allow-oom
-- Take a dead letter off and queue it as a delivery that has not run.
-- KEYS[1]  base
-- ARGV     channel, id, payload
-- Answer   1; 0: there is no such letter
local channel, id = ARGV[1], ARGV[2]
local letters = base .. 'dead:' .. channel
local letter = redis.call('XRANGE', letters, id, id)[1]
if not letter then
  return 0
end
forget_letter(channel, letter)
if redis.call('XLEN', letters) == 0 then redis.call('SREM', base .. 'deads', channel) end
local frames = string.sub(letter[2][4], 3, 5)
put('RPUSH', channel, '00' .. frames .. '000k0000000000000' .. channel .. '\0\0' .. ARGV[3])
settle_stored()
return 1
