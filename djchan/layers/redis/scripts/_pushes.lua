-- How entries come to channels, and what happens at a limit.
-- commit.lua turns it off: what was admitted once is not refused.
local admission = true
local odd = false -- Whether the key is there, as far as commit.lua has to know.

local function refuse(channel, full)
  count('full:' .. channel)
  if full == 'full:bytes' then count('full_bytes') end
  if full == 'full:total' then count('full_total') end
  if full == 'full:share' then count('full_share') end
  return full
end

-- Which limit refuses an entry. A source may hold as much of a channel as is free: half of it
-- alone, a third each of two. One that holds nothing is admitted while fewer than "capacity"
-- sources wait: what others have had put back does not keep it out.
local function refused(limits, size, total, channel, source)
  local full = reached(limits, size, total)
  if not (source and admission) or full == 'full:total' then return full end
  local own_weight = redis.call('HGET', base .. 'src:' .. channel, source)
  if not own_weight then
    if not full then return end
    if limits[3] > 0 and total >= limits[3] then return 'full:total' end
    local sources = redis.call('HLEN', base .. 'src:' .. channel)
    return limits[1] > 0 and sources >= limits[1] and full
  end
  local messages, own = math.floor(size / UNIT), math.floor(own_weight / UNIT)
  if full or limits[1] > 0 and own >= limits[1] - messages
    or limits[2] > 0 and own_weight - own * UNIT >= limits[2] - (size - messages * UNIT) then
    return full or 'full:share'
  end
end

-- The channel, or the layer, is at a limit. From a send: no, unless what has expired makes room
-- (what was in a crash lies elsewhere, and does not expire). From a commit: beside the channel,
-- or when ten times as many messages, or as many bytes, are there, among the dead letters.
local function overflow(channel, limits, entry, source)
  -- Take what has expired off the head of a queue.
  local function drop_expired(channel, source)
    local queue, now = base .. 'q:' .. channel, now_ms()
    if source then queue = queue .. '~' .. source end
    while true do
      local head = redis.call('LINDEX', queue, 0)
      local expires = head and tonumber(string.sub(head, 10, 22)) or 0
      if expires == 0 or expires > now then break end
      redis.call('LPOP', queue)
      hold(channel, -weight(head))
      local sources = base .. 'src:' .. channel
      if source and redis.call('HINCRBY', sources, source, -weight(head)) <= 0 then
        redis.call('HDEL', sources, source)
        redis.call('LREM', base .. 'ring:' .. channel, 0, source)
        end_turns(channel)
      end
      store(-#head)
      count('giveup:expired')
      if string.sub(head, 9, 9) == 'k' then bury(channel, head, 'expired') end
    end
  end

  local park = base .. 'park:' .. channel
  if not admission then
    local parked = 'p:' .. channel
    if (limits[1] == 0 or redis.call('LLEN', park) < 10 * limits[1])
      and (limits[2] == 0
        or tonumber(redis.call('HGET', base .. 'bytes', parked) or '0') < limits[2])
      and (limits[3] == 0 or stored < 2 * limits[3]) then
      redis.call('HSET', base .. 'odd', parked, redis.call('RPUSH', park, entry))
      store_in(parked, #entry)
      store(#entry)
      odd = true
      count('parked:' .. channel)
      ring(channel)
    else
      bury(channel, entry, 'overflow')
    end
    return 'parked'
  end
  write_tails()
  drop_expired(channel)
  if source then drop_expired(channel, source) end
  local full = refused(limits, hold(channel, 0), stored, channel, source)
  if full then return refuse(channel, full) end
  enqueue('RPUSH', channel, entry, source)
  hold(channel, weight(entry))
  store(#entry)
  ring(channel)
  return 'ok'
end

local function push(channel, entry, limits)
  local own, source = weight(entry), limits[4] and source_of(entry)
  local size = hold(channel, own)
  if refused(limits, size, store(#entry), channel, source) or odd and limits[1] + limits[2] > 0
    and redis.call('HEXISTS', base .. 'odd', 'p:' .. channel) == 1 then
    store(-#entry)
    hold(channel, -own)
    return overflow(channel, limits, entry, source)
  end
  enqueue('RPUSH', channel, entry, source)
  ring(channel)
  return 'ok'
end

-- Queue an entry in so many ms (limits[1]); a channel has its bytes for these, too.
local function delay(channel, entry, limits)
  local total = store(#entry)
  local before = store_in('d:' .. channel, #entry)
  local full = reached({0, limits[2], (admission and 1 or 2) * limits[3]}, before, total)
  if full then
    store(-#entry)
    store_in('d:' .. channel, -#entry)
    if admission then return refuse(channel, full) end
    bury(channel, entry, 'overflow')
    return 'parked'
  end
  local serial = string.format('%016d', redis.call('INCR', base .. 'serial'))
  redis.call('ZADD', base .. 'due', now_ms() + limits[1], serial .. entry)
  ring(channel)
  return 'ok'
end
