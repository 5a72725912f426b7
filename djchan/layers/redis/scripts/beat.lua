#!lua flags=allow-oom
-- Count a process's beat up, and tell everybody's.
-- KEYS[1]  base
-- ARGV     process, ids of its connections, last beat it was answered, link, number of the
--          last send that was answered there (0: not looked at), bytes read of its inbox
-- Answer   {now ms, process, beat, kind, clients, process, ...}; nil: not known, or stale,
--          or known with lower numbers than it was answered
local process, link, number = ARGV[1], ARGV[4], tonumber(ARGV[5])
local beat = redis.call('HGET', base .. 'beats', process)
if not beat or tonumber(beat) < tonumber(ARGV[3])
  or redis.call('SISMEMBER', base .. 'stale', process) == 1 then
  return false
end
if number > 0 then
  local last = redis.call('HGET', base .. 'num:' .. process, link) or '0'
  if tonumber(string.match(last, '^%d+')) < number then
    return false
  end
end
redis.call('HINCRBY', base .. 'beats', process, 1)
redis.call('HSET', base .. 'clients', process, ARGV[2])
local inbox = redis.call('HMGET', base .. 'io', 'l' .. process, 'r' .. process, 'b' .. process)
local limit = tonumber(inbox[1] or '0')
if limit > 0 then
  local more = math.max(0, tonumber(ARGV[6]) - tonumber(inbox[2]))
  if more > 0 then
    redis.call('HSET', base .. 'io', 'r' .. process, ARGV[6])
    redis.call('HINCRBY', base .. 'io', 'b' .. process, more)
  end
  if tonumber(inbox[3]) + more >= limit / 2 then redis.call('DEL', base .. 'gap:' .. process) end
end
local reply = {now_ms()}
local beats = redis.call('HGETALL', base .. 'beats')
for i = 1, #beats, 2 do
  reply[#reply + 1] = beats[i]
  reply[#reply + 1] = tonumber(beats[i + 1])
  reply[#reply + 1] = redis.call('HGET', base .. 'kinds', beats[i]) or 'w'
  reply[#reply + 1] = redis.call('HGET', base .. 'clients', beats[i]) or ''
end
return reply
