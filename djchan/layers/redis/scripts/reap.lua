#!lua flags=allow-oom
-- Bury a process: its work goes back to the heads of its channels, its inbox goes, the last
-- deliveries of its connections are queued.
-- KEYS[1]  base
-- ARGV     process, beat it must still have ("": its own goodbye, no crash is charged),
--          ids of the dead that are remembered
-- Answer   1: buried by this call; 0: it lives, or was buried before
local process, beat = ARGV[1], ARGV[2]
local stored = redis.call('HGET', base .. 'beats', process)
if not stored or (beat ~= '' and stored ~= beat) then
  return 0
end

-- Connections of the process that have a delivery waiting or leased which is not answered. (A
-- copy of an answered one commits nothing, so nothing waits for its end.)
local function owners_out(floors)
  local found, mark = {}, process .. '!'
  local function look(entry)
    local at = string.find(entry, '\0', 23, true) + 1
    if string.sub(entry, at, at + #mark - 1) ~= mark then return end
    local connection, seq = string.match(entry, '^([^%z\1]*)\1?(%d*)', at + #mark)
    local floor = floors[connection]
    if seq == '' or floor and tonumber(seq) > floor then found[connection] = true end
  end
  local function is_numbered(channel)
    return string.sub(channel, 1, 10) == 'websocket.' or string.sub(channel, 1, 5) == 'http.'
  end
  local channels = redis.call('HKEYS', base .. 'n')
  for _, field in ipairs(redis.call('HKEYS', base .. 'odd')) do
    channels[#channels + 1] = string.sub(field, 3)
  end
  for _, channel in ipairs(channels) do
    if is_numbered(channel) then
      local keys = {base .. 'q:' .. channel, base .. 'sus:' .. channel, base .. 'park:' .. channel}
      for _, source in ipairs(redis.call('HKEYS', base .. 'src:' .. channel)) do
        keys[#keys + 1] = base .. 'q:' .. channel .. '~' .. source
      end
      for _, key in ipairs(keys) do
        for from = 0, redis.call('LLEN', key) - 1, 64 do
          for _, entry in ipairs(redis.call('LRANGE', key, from, from + 63)) do look(entry) end
        end
      end
    end
  end
  for from = 0, redis.call('ZCARD', base .. 'due') - 1, 64 do
    for _, member in ipairs(redis.call('ZRANGE', base .. 'due', from, from + 63)) do
      if is_numbered(string.sub(member, 39, 48)) then look(string.sub(member, 17)) end
    end
  end
  local kinds = redis.call('HGETALL', base .. 'kinds')
  for i = 1, #kinds, 2 do
    for _, entry in ipairs(redis.call('HVALS', base .. 'l:' .. kinds[i])) do look(entry) end
  end
  return found
end

redis.call('ZADD', base .. 'tomb', now_ms(), process)
redis.call('ZREMRANGEBYRANK', base .. 'tomb', 0, -1 - tonumber(ARGV[3]))
local idle, bells = redis.call('HGETALL', base .. 'idle'), {}
for i = 1, #idle, 2 do
  if idle[i + 1] == process then
    bells[#bells + 1] = idle[i]
    redis.call('HDEL', base .. 'idle', idle[i])
    redis.call('DEL', base .. 'bell:' .. idle[i])
  end
end
local served = redis.call('SMEMBERS', base .. 'ch:' .. process)
for _, channel in ipairs(served) do
  redis.call('SREM', base .. 'serves:' .. channel, process)
  for _, bell in ipairs(bells) do redis.call('SREM', base .. 'idle:' .. channel, bell) end
end
local tokens = redis.call('HKEYS', base .. 'l:' .. process)
for i = 1, #tokens do tokens[i] = tonumber(tokens[i]) end
give_back(process, tokens, beat ~= '')
for _, channel in ipairs(served) do
  -- A bell may have been rung for the dead: ring for somebody else.
  if redis.call('EXISTS', base .. 'q:' .. channel, base .. 'park:' .. channel,
    base .. 'ring:' .. channel) > 0 then
    ring(channel)
  end
end
if #bells > 0 and redis.call('EXISTS', base .. 'due') == 1 then ring_for_due(served, 1) end
if suspected or #served > 0 then ring_suspects() end
local records = redis.call('HGETALL', base .. 'rec:' .. process)
local known, floors = redis.call('HGETALL', base .. 'fl:' .. process), {}
for i = 1, #known, 2 do floors[known[i]] = tonumber(known[i + 1]) end
local out = (records[1] or known[1]) and owners_out(floors)
for connection in pairs(floors) do
  if not out[connection] then redis.call('HDEL', base .. 'fl:' .. process, connection) end
end
for i = 1, #records, 2 do
  redis.call('HSET', base .. 'orph:' .. process, records[i], records[i + 1])
  if not out[records[i]] then follow(process, records[i]) end
end
local flow = redis.call('HGETALL', base .. 'flow:' .. process)
for i = 1, #flow, 2 do
  if string.sub(flow[i], 1, 1) == 'b' then knock(flow[i + 1]) end
end
for _, group in ipairs(redis.call('SMEMBERS', base .. 'pg:' .. process)) do
  redis.call('HDEL', base .. 'g:' .. group, 'i' .. process)
end
for kind in string.gmatch('l sl ch pg in cut num rec gap flow', '%a+') do
  redis.call('UNLINK', base .. kind .. ':' .. process)
end
for _, hash in ipairs({'beats', 'kinds', 'clients', 'info'}) do
  redis.call('HDEL', base .. hash, process)
end
redis.call('HDEL', base .. 'io', 'l' .. process, 'r' .. process, 'b' .. process)
redis.call('SREM', base .. 'stale', process)
settle_stored()
if beat ~= '' then count('reaped') end
return 1
