-- What lies beside a channel's queue, for who takes from it: suspects, parked, due.
local function note_odd(field, size)
  if size > 0 then
    redis.call('HSET', base .. 'odd', field, size)
  else
    redis.call('HDEL', base .. 'odd', field)
  end
end

-- So many messages, of so many bytes, wait no longer.
local function taken(channel, frames, bytes)
  if frames == 0 then return end
  while frames * UNIT > EXACT do
    hold(channel, -EXACT)
    frames = frames - EXACT / UNIT
  end
  hold(channel, -(frames * UNIT + bytes))
  store(-bytes)
end

local function take_suspect(channel)
  local entry = redis.call('LPOP', base .. 'sus:' .. channel)
  if entry then
    note_odd('s:' .. channel, redis.call('LLEN', base .. 'sus:' .. channel))
    taken(channel, tonumber(string.sub(entry, 3, 5)), #entry)
  end
  return entry
end

-- Move what is parked to the tail of its channel, for who is about to take it.
local function unpark(channel, wanted)
  local entries = redis.call('LPOP', base .. 'park:' .. channel, wanted)
  if not entries then return end
  for _, entry in ipairs(entries) do
    enqueue('RPUSH', channel, entry, source_of(entry))
    hold(channel, weight(entry))
    store_in('p:' .. channel, -#entry)
  end
  note_odd('p:' .. channel, redis.call('LLEN', base .. 'park:' .. channel))
end

-- Move what has become due to the tails of its channels; when the next is due (ms; 0: none).
local function promote(now)
  local head = redis.call('ZRANGE', base .. 'due', 0, 0, 'WITHSCORES')
  if not head[2] then return 0 end
  if tonumber(head[2]) > now then return tonumber(head[2]) end
  local due = redis.call('ZRANGEBYSCORE', base .. 'due', '-inf', now, 'LIMIT', 0, 100)
  for _, member in ipairs(due) do
    redis.call('ZREM', base .. 'due', member)
    local entry = string.sub(member, 17)
    local channel = channel_of(entry)
    store(-#entry)
    store_in('d:' .. channel, -#entry)
    put('RPUSH', channel, entry)
  end
  head = redis.call('ZRANGE', base .. 'due', 0, 0, 'WITHSCORES')
  return tonumber(head[2] or '0')
end
