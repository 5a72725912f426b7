#!lua flags=allow-oom
-- Tell which channels have dead letters.
-- KEYS[1]  base
-- ARGV     none
-- Answer   {channel, how many, channel, ...}
local reply = {}
for _, channel in ipairs(redis.call('SMEMBERS', base .. 'deads')) do
  reply[#reply + 1] = channel
  reply[#reply + 1] = redis.call('XLEN', base .. 'dead:' .. channel)
end
return reply
