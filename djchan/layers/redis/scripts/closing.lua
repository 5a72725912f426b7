#!lua flags=allow-oom
-- A worker claims no more: nothing is served by it, nobody rings for it.
-- KEYS[1]  base
-- ARGV     worker, its bells
-- Answer   nil
local worker = ARGV[1]
local served = redis.call('SMEMBERS', base .. 'ch:' .. worker)
if redis.call('HEXISTS', base .. 'kinds', worker) == 1 then
  redis.call('HSET', base .. 'kinds', worker, 'c')
end
for _, channel in ipairs(served) do
  redis.call('SREM', base .. 'serves:' .. channel, worker)
  for i = 2, #ARGV do
    if redis.call('SREM', base .. 'idle:' .. channel, ARGV[i]) == 0
      and redis.call('EXISTS', base .. 'q:' .. channel, base .. 'park:' .. channel,
        base .. 'ring:' .. channel) > 0 then
      -- A bell of ours may have been rung for this channel: pass it on.
      ring(channel)
    end
  end
end
for i = 2, #ARGV do
  redis.call('HDEL', base .. 'idle', ARGV[i])
  knock(ARGV[i])
end
ring_suspects()
if redis.call('EXISTS', base .. 'due') == 1 then ring_for_due(served, 1) end
return false
