#!lua flags=allow-oom
-- Bury a process: its work goes back to the heads of its channels, its inbox goes.
-- KEYS[1]  base
-- ARGV     process, beat it must still have ("": its own goodbye, no crash is charged),
--          ids of the dead that are remembered
-- Answer   1: buried by this call; 0: it lives, or was buried before
local process, beat = ARGV[1], ARGV[2]
local stored = redis.call('HGET', base .. 'beats', process)
if not stored or (beat ~= '' and stored ~= beat) then
  return 0
end
redis.call('ZADD', base .. 'tomb', now_ms(), process)
redis.call('ZREMRANGEBYRANK', base .. 'tomb', 0, -1 - tonumber(ARGV[3]))
local bells = {}
for _, bell in ipairs(redis.call('SMEMBERS', base .. 'idle')) do
  if string.sub(bell, 1, #process) == process then
    bells[#bells + 1] = bell
    redis.call('SREM', base .. 'idle', bell)
    redis.call('DEL', base .. 'bell:' .. bell)
  end
end
local served = redis.call('SMEMBERS', base .. 'ch:' .. process)
for _, channel in ipairs(served) do
  redis.call('SREM', base .. 'serves:' .. channel, process)
  for _, bell in ipairs(bells) do redis.call('SREM', base .. 'idle:' .. channel, bell) end
end
local leases = redis.call('HGETALL', base .. 'l:' .. process)
local tokens, entries = {}, {}
for i = 1, #leases, 2 do
  tokens[#tokens + 1] = tonumber(leases[i])
  entries[tonumber(leases[i])] = leases[i + 1]
end
table.sort(tokens)
for i = #tokens, 1, -1 do
  local entry = entries[tokens[i]]
  if beat ~= '' then
    local crashes = math.min(99, tonumber(string.sub(entry, 1, 2)) + 1)
    entry = string.format('%02d', crashes) .. string.sub(entry, 3)
  end
  put('LPUSH', channel_of(entry), entry)
end
for _, channel in ipairs(served) do
  -- A bell may have been rung for the dead: ring for somebody else.
  if redis.call('EXISTS', base .. 'q:' .. channel) == 1 then ring(channel) end
end
for _, group in ipairs(redis.call('SMEMBERS', base .. 'pg:' .. process)) do
  redis.call('HDEL', base .. 'g:' .. group, 'i' .. process)
end
for _, kind in ipairs({'l:', 'ch:', 'pg:', 'in:', 'fl:', 'cut:', 'num:'}) do
  redis.call('UNLINK', base .. kind .. process)
end
for _, hash in ipairs({'beats', 'kinds', 'clients', 'info'}) do
  redis.call('HDEL', base .. hash, process)
end
redis.call('SREM', base .. 'closing', process)
if beat ~= '' then count('reaped') end
return 1
