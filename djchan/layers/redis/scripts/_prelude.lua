-- Shared by the scripts that apply effects; put in front of each by scripts.py.
--
-- KEYS[1]  base: the layer's prefix, "{prefix}1:"; every key below begins with it, so a
--          layer lies in one hash slot and may compute its keys.
--
-- q:CHANNEL    list   entries waiting, head first
-- n            hash   channel -> messages waiting (an entry may hold several)
-- due          zset   entries that wait for a time, by ms
-- l:WORKER     hash   token -> entry: what is leased to a worker
-- in:PROCESS   stream inbox of an interface process; exists while the process is known
-- fl:PROCESS   hash   connection -> highest answered seq (the floor)
-- cut:PROCESS  set    connections whose clients left while their response was running
-- g:GROUP      hash   "i" process -> generation, "c" channel -> "1"
-- pg:PROCESS   set    groups of a process
-- beats kinds clients info   hash   process -> beat, "w"|"i", connection ids, text
-- num:PROCESS  hash   link -> "number results" of its last numbered operation
-- ch:WORKER    set    channels a worker serves;  serves:CHANNEL  set  its workers
-- closing      set    workers that claim no more
-- idle, idle:CHANNEL  set  bells of workers that found nothing;  bell:BELL  list
-- tomb         zset   ids of buried processes, by ms
-- dead:CHANNEL list   dead letters, newest first
-- stats        hash   counters
--
-- An entry is "AAFFFDDDKEEEEEEEEEEEEE" CHANNEL "\0" PAYLOAD: crashes it was in, messages in
-- it, messages already committed (999: its response had begun), "k" to keep or "d" to drop
-- it when it has expired, and when that is (ms; 0: never, or somebody waits for its answer).
local base = KEYS[1]
local rung = {}
local admission = true -- commit.lua turns it off: what was admitted once is not refused.

local function count(what)
  redis.call('HINCRBY', base .. 'stats', what, 1)
end

local function ring(channel)
  if rung[channel] then return end
  rung[channel] = true
  local bell = redis.call('SPOP', base .. 'idle:' .. channel)
  if bell then
    redis.call('RPUSH', base .. 'bell:' .. bell, '1')
    redis.call('PEXPIRE', base .. 'bell:' .. bell, 30000)
  end
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function channel_of(entry)
  return string.sub(entry, 23, string.find(entry, '\0', 23, true) - 1)
end

local function put(side, channel, entry)
  redis.call(side, base .. 'q:' .. channel, entry)
  redis.call('HINCRBY', base .. 'n', channel, tonumber(string.sub(entry, 3, 5)))
  ring(channel)
end

-- Keep a delivery as a dead letter of its channel: the newest 1000 are.
local function bury(channel, entry, reason)
  local letters = base .. 'dead:' .. channel
  redis.call('LPUSH', letters, reason .. '\0' .. now_ms() .. '\0' .. string.sub(entry, 24 + #channel))
  redis.call('LTRIM', letters, 0, 999)
  count('dead:' .. channel)
end

-- Take what has expired off the head of a channel; what was run before does not expire.
local function expire(channel)
  local now = now_ms()
  while true do
    local entry = redis.call('LINDEX', base .. 'q:' .. channel, 0)
    if not entry then return end
    local expires = tonumber(string.sub(entry, 10, 22))
    if expires == 0 or expires > now or string.sub(entry, 1, 2) ~= '00' then return end
    redis.call('LPOP', base .. 'q:' .. channel)
    redis.call('HINCRBY', base .. 'n', channel, -tonumber(string.sub(entry, 3, 5)))
    count('giveup:expired')
    if string.sub(entry, 9, 9) == 'k' then bury(channel, entry, 'expired') end
  end
end

-- Move what has become due to the tails of its channels.
local function promote(now)
  local due = redis.call('ZRANGEBYSCORE', base .. 'due', '-inf', now, 'LIMIT', 0, 100)
  for _, entry in ipairs(due) do
    redis.call('ZREM', base .. 'due', entry)
    put('RPUSH', channel_of(entry), entry)
  end
end

local function waiting(channel)
  return tonumber(redis.call('HGET', base .. 'n', channel) or '0')
end

-- Apply the effect at ARGV[i .. i+4]; "ok", "full", "unserved" or "gone".
local function apply(i)
  local op, a, b, c, d = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  if op == 'p' or op == 's' then
    if op == 's' and redis.call('EXISTS', base .. 'serves:' .. a) == 0 then
      return 'unserved'
    end
    local capacity = tonumber(c)
    if admission and capacity > 0 and waiting(a) >= capacity then
      expire(a)
    end
    if admission and capacity > 0 and waiting(a) >= capacity then
      count('full:' .. a)
      return 'full'
    end
    put('RPUSH', a, d .. a .. '\0' .. b)
  elseif op == 't' then
    if not redis.call('XADD', base .. 'in:' .. a, 'NOMKSTREAM', '*', 'm', b) then
      count('gone')
      return 'gone'
    end
  elseif op == 'a' then
    local id = redis.call('XADD', base .. 'in:' .. b, 'NOMKSTREAM', '*', 'm', c)
    if not id then
      count('gone')
      return 'gone'
    end
    redis.call('HSET', base .. 'g:' .. a, 'i' .. b, id)
    redis.call('SADD', base .. 'pg:' .. b, a)
  elseif op == 'x' then
    if not redis.call('XADD', base .. 'in:' .. b, 'NOMKSTREAM', '*', 'm', c) then
      return 'gone'
    end
  elseif op == 'A' then
    redis.call('HSET', base .. 'g:' .. a, 'c' .. b, '1')
  elseif op == 'X' then
    redis.call('HDEL', base .. 'g:' .. a, 'c' .. b)
  elseif op == 'g' then
    local members = redis.call('HKEYS', base .. 'g:' .. a)
    for _, member in ipairs(members) do
      local name = string.sub(member, 2)
      if string.sub(member, 1, 1) == 'i' then
        if not redis.call('XADD', base .. 'in:' .. name, 'NOMKSTREAM', '*', 'm', b) then
          count('gone')
        end
      elseif tonumber(d) > 0 and waiting(name) >= tonumber(d) then
        count('skipped:' .. name)
      else
        put('RPUSH', name, '00001000k0000000000000' .. name .. '\0' .. c)
      end
    end
  elseif op == 'd' then
    redis.call('ZADD', base .. 'due', now_ms() + tonumber(c), d .. a .. '\0' .. b)
    ring(a)
  elseif op == 'b' then
    local key = base .. 'q:' .. a
    if admission and tonumber(c) > 0 and redis.call('LLEN', key) >= tonumber(c) then
      return 'full'
    end
    redis.call('RPUSH', key, '00000000d0000000000000' .. a .. '\0' .. b)
    redis.call('PEXPIRE', key, tonumber(d))
    ring(a)
  end
  return 'ok'
end
