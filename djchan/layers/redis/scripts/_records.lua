-- A connection of a dead process has nothing more out: queue its last delivery, if there is one.
local function follow(process, connection)
  redis.call('HDEL', base .. 'fl:' .. process, connection)
  local orphans = base .. 'orph:' .. process
  local entry = redis.call('HGET', orphans, connection)
  if not entry then return end
  redis.call('HDEL', orphans, connection)
  local channel = string.sub(entry, 23, string.find(entry, '\0', 23, true) - 1)
  if redis.call('SISMEMBER', base .. 'routed', channel) == 1 then
    enqueue('RPUSH', channel, entry)
    hold(channel, weight(entry))
    store(#entry)
    ring(channel)
  else
    count('unserved:' .. channel)
  end
end
