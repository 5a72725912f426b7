-- Entries with a source wait in a queue of its own, q:CHANNEL~SOURCE, and sources take turns.
-- "-" in the ring stands for the entries without one.
local function source_of(entry)
  return string.match(entry, '^[^%z\1]*\1(%x+)%z', 23)
end

local function enqueue(side, channel, entry, source)
  if not source then
    if not tails or side == 'LPUSH' then
      redis.call(side, base .. 'q:' .. channel, entry)
    elseif tails[channel] then
      table.insert(tails[channel], entry)
    else
      tails[channel] = {entry}
    end
    return
  end
  local own = weight(entry)
  redis.call(side, base .. 'q:' .. channel .. '~' .. source, entry)
  if redis.call('HINCRBY', base .. 'src:' .. channel, source, own) == own
    and redis.call(side, base .. 'ring:' .. channel, source) == 1 then
    redis.call('RPUSH', base .. 'ring:' .. channel, '-')
    redis.call('SADD', base .. 'fair', channel)
  end
end

-- The last source of a channel has nothing there any more.
local function end_turns(channel)
  if redis.call('EXISTS', base .. 'src:' .. channel) == 1 then return false end
  redis.call('DEL', base .. 'ring:' .. channel)
  redis.call('SREM', base .. 'fair', channel)
  return true
end
