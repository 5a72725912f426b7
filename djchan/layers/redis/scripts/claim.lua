#!lua flags=allow-oom
-- Lease waiting entries to a worker; note it as idle when there are none.
-- KEYS[1]  base
-- ARGV     worker, bell, count, channels in the order to look at
-- Answer   {now ms, next due ms or 0, known 0|1, token of the first, entry, entry, ...}
local worker, bell, wanted = ARGV[1], ARGV[2], tonumber(ARGV[3])
local now = now_ms()
if redis.call('HEXISTS', base .. 'beats', worker) == 0 then
  return {now, 0, 0, 0}
end
redis.call('DEL', base .. 'bell:' .. bell)
if redis.call('SREM', base .. 'idle', bell) == 1 then
  for i = 4, #ARGV do redis.call('SREM', base .. 'idle:' .. ARGV[i], bell) end
end
if redis.call('SISMEMBER', base .. 'closing', worker) == 1 then
  return {now, 0, 1, 0}
end
promote(now)
local reply, lease = {now, 0, 1, 0}, {}
for i = 4, #ARGV do
  if wanted == 0 then break end
  local channel = ARGV[i]
  local entries = redis.call('LPOP', base .. 'q:' .. channel, wanted)
  if entries then
    local frames = 0
    for _, entry in ipairs(entries) do
      reply[#reply + 1] = entry
      frames = frames + tonumber(string.sub(entry, 3, 5))
    end
    wanted = wanted - #entries
    if redis.call('HINCRBY', base .. 'n', channel, -frames) <= 0 then
      redis.call('HDEL', base .. 'n', channel)
    end
  end
end
local got = #reply - 4
if got > 0 then
  local token = redis.call('INCRBY', base .. 'token', got) - got
  if token == 0 then
    -- A new history: its tokens must not be those of an old one, which zombies may hold.
    local time = redis.call('TIME')
    token = time[1] * 1000000 + time[2]
    redis.call('SET', base .. 'token', string.format('%d', token + got))
  end
  reply[4] = token + 1
  for k = 1, got do
    lease[2 * k - 1] = token + k
    lease[2 * k] = reply[4 + k]
  end
  redis.call('HSET', base .. 'l:' .. worker, unpack(lease))
  redis.call('HINCRBY', base .. 'stats', 'claimed', got)
  if wanted == 0 then
    -- More than we took may wait: wake the next idle worker, which does the same.
    for i = 4, #ARGV do
      if redis.call('EXISTS', base .. 'q:' .. ARGV[i]) == 1 then
        rung[ARGV[i]] = nil
        ring(ARGV[i])
      end
    end
  end
else
  redis.call('SADD', base .. 'idle', bell)
  for i = 4, #ARGV do redis.call('SADD', base .. 'idle:' .. ARGV[i], bell) end
end
local next_due = redis.call('ZRANGE', base .. 'due', 0, 0, 'WITHSCORES')
if next_due[2] then reply[2] = tonumber(next_due[2]) end
return reply
