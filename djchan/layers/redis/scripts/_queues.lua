-- Entries that come to a channel again, or for the first time.
local suspected = false -- A suspect was queued: the script ends with ring_suspects().

local function channel_of(entry)
  return queue_of(string.sub(entry, 23, string.find(entry, '[%z\1]', 23) - 1))
end

-- Queue an entry: among the suspects if it was in a crash.
local function put(side, channel, entry)
  if string.sub(entry, 1, 2) == '00' then
    enqueue(side, channel, entry, source_of(entry))
    ring(channel)
  else
    local size = redis.call(side, base .. 'sus:' .. channel, entry)
    redis.call('HSET', base .. 'odd', 's:' .. channel, size)
    suspected = true
  end
  hold(channel, weight(entry))
  store(#entry)
end
