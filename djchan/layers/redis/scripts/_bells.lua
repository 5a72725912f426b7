-- Who is woken for what: an idle worker blocks on its bell.
local rung = {}

local function knock(bell)
  redis.call('RPUSH', base .. 'bell:' .. bell, '1')
  redis.call('PEXPIRE', base .. 'bell:' .. bell, 30000)
end

-- Wake the sender of parts to a connection: there is more room, or the response has no reader.
local function wake_stream(process, connection)
  local flow = base .. 'flow:' .. process
  local bell = redis.call('HGET', flow, 'b' .. connection)
  if bell then
    redis.call('HDEL', flow, 'b' .. connection)
    knock(bell)
  end
end

-- Wake one idle worker of a channel, once in a script.
local function ring(channel)
  if rung[channel] then return end
  rung[channel] = true
  local bell = redis.call('SPOP', base .. 'idle:' .. channel)
  if bell then knock(bell) end
end
