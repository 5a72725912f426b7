#!lua flags=allow-oom
-- A worker claims no more: nothing is served by it, nobody rings for it.
-- KEYS[1]  base
-- ARGV     worker, its bells
-- Answer   nil
local worker = ARGV[1]
redis.call('SADD', base .. 'closing', worker)
for _, channel in ipairs(redis.call('SMEMBERS', base .. 'ch:' .. worker)) do
  redis.call('SREM', base .. 'serves:' .. channel, worker)
  for i = 2, #ARGV do
    if redis.call('SREM', base .. 'idle:' .. channel, ARGV[i]) == 0
      and redis.call('EXISTS', base .. 'q:' .. channel) == 1 then
      -- A bell of ours may have been rung for this channel: pass it on.
      ring(channel)
    end
  end
end
for i = 2, #ARGV do
  redis.call('SREM', base .. 'idle', ARGV[i])
  redis.call('RPUSH', base .. 'bell:' .. ARGV[i], '0')
  redis.call('PEXPIRE', base .. 'bell:' .. ARGV[i], 30000)
end
return false
