#!lua flags=allow-oom
-- Count a process's beat up, and tell everybody's.
-- KEYS[1]  base
-- ARGV     process, ids of its connections
-- Answer   {now ms, process, beat, kind, clients, process, ...}; nil: not known
local process = ARGV[1]
if redis.call('HEXISTS', base .. 'beats', process) == 0 then
  return false
end
redis.call('HINCRBY', base .. 'beats', process, 1)
redis.call('HSET', base .. 'clients', process, ARGV[2])
local reply = {now_ms()}
local beats = redis.call('HGETALL', base .. 'beats')
for i = 1, #beats, 2 do
  reply[#reply + 1] = beats[i]
  reply[#reply + 1] = tonumber(beats[i + 1])
  reply[#reply + 1] = redis.call('HGET', base .. 'kinds', beats[i]) or 'w'
  reply[#reply + 1] = redis.call('HGET', base .. 'clients', beats[i]) or ''
end
return reply
