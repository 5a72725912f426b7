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

-- Wake one idle worker of a channel, once in a script; whether there was one.
local function ring(channel)
  if rung[channel] == nil then
    rung[channel] = redis.call('SPOP', base .. 'idle:' .. channel)
    if rung[channel] then knock(rung[channel]) end
  end
  return rung[channel]
end

-- Wake one idle worker of any of these channels: the one that was to wait until the next delivery
-- is due may not, and another may not know of that time.
local function ring_for_due(channels, first)
  for i = first, #channels do
    if ring(channels[i]) then return end
  end
end
