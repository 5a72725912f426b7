#!lua flags=allow-oom
-- Note which run of the store this is; another one than before makes every interface stale.
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
count('histories')
return 1
