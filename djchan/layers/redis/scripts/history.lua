#!lua flags=allow-oom
-- Note which run of the store this is; another one than before makes every interface stale,
-- and wakes all workers that are noted as idle.
-- KEYS[1]  base
-- ARGV     run
-- Answer   1: it is another one; 0: it is the one noted, or the first
local before = redis.call('GET', base .. 'hist')
if before == ARGV[1] then
  return 0
end
redis.call('SET', base .. 'hist', ARGV[1])
if not before then
  return 0
end
local kinds = redis.call('HGETALL', base .. 'kinds')
for i = 1, #kinds, 2 do
  if kinds[i + 1] == 'i' then redis.call('SADD', base .. 'stale', kinds[i]) end
end
-- A worker that was idle then may be busy now, and would be woken in place of an idle one.
for _, bell in ipairs(redis.call('HKEYS', base .. 'idle')) do knock(bell) end
redis.call('DEL', base .. 'idle')
for _, channel in ipairs(redis.call('SMEMBERS', base .. 'routed')) do
  redis.call('DEL', base .. 'idle:' .. channel)
end
count('histories')
return 1
