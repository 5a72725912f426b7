-- Dead letters: of each channel the newest 1000, of the layer so many bytes. An emptied stream
-- stays, so that no id is used twice.
local function forget_letter(channel, letter)
  local size = #letter[2][4]
  redis.call('XDEL', base .. 'dead:' .. channel, letter[1])
  store_in('x:' .. channel, -size)
  store_in('dead', -size)
  return size
end

-- Keep an entry as a dead letter of its channel; the oldest make room for it.
local function bury(channel, entry, reason)
  local function oldest_letter(channel)
    return redis.call('XRANGE', base .. 'dead:' .. channel, '-', '+', 'COUNT', 1)[1]
  end

  -- The channel whose dead letters take most room.
  local function heaviest()
    local fields, channel, most = redis.call('HGETALL', base .. 'bytes'), nil, 0
    for i = 1, #fields, 2 do
      local name, size = string.sub(fields[i], 3), tonumber(fields[i + 1])
      if string.sub(fields[i], 1, 2) == 'x:'
        and (size > most or size == most and name < channel) then
        channel, most = name, size
      end
    end
    return channel
  end

  local letters = base .. 'dead:' .. channel
  if redis.call('XLEN', letters) >= 1000 then forget_letter(channel, oldest_letter(channel)) end
  redis.call('XADD', letters, '*', 'r', reason, 'e', entry)
  redis.call('SADD', base .. 'deads', channel)
  count('dead:' .. channel)
  store_in('x:' .. channel, #entry)
  local total = store_in('dead', #entry) + #entry
  local limit = tonumber(redis.call('HGET', base .. 'bytes', 'limit') or '0')
  while limit > 0 and total > limit do
    local name = heaviest()
    if not name then break end
    local letter = oldest_letter(name)
    while letter and total > limit do
      total = total - forget_letter(name, letter)
      count('forgotten:' .. name)
      letter = oldest_letter(name)
    end
    if not letter then
      redis.call('HDEL', base .. 'bytes', 'x:' .. name)
      redis.call('SREM', base .. 'deads', name)
    end
  end
end
