-- What a send or a commit does to channels, groups and inboxes.
local admission = true -- commit.lua turns it off: what was admitted once is not refused.
local odd = false -- Whether the key is there, as far as commit.lua has to know.

-- The channel is at its limit. From a send: no, unless what has expired makes room (what was
-- in a crash lies elsewhere, and does not expire). From a commit: beside the channel, or when
-- ten times as much is there, among the dead letters.
local function overflow(channel, limit, entry)
  local queue, park = base .. 'q:' .. channel, base .. 'park:' .. channel
  if not admission then
    if redis.call('LLEN', park) < 10 * limit then
      redis.call('HSET', base .. 'odd', 'p:' .. channel, redis.call('RPUSH', park, entry))
      odd = true
      count('parked:' .. channel)
      ring(channel)
    else
      bury(channel, entry, 'overflow')
    end
    return 'parked'
  end
  local now, size = now_ms(), tonumber(redis.call('HGET', base .. 'n', channel) or '0')
  while true do
    local head = redis.call('LINDEX', queue, 0)
    local expires = head and tonumber(string.sub(head, 10, 22)) or 0
    if expires == 0 or expires > now then break end
    redis.call('LPOP', queue)
    size = redis.call('HINCRBY', base .. 'n', channel, -tonumber(string.sub(head, 3, 5)))
    count('giveup:expired')
    if string.sub(head, 9, 9) == 'k' then bury(channel, head, 'expired') end
  end
  if size >= limit then
    count('full:' .. channel)
    return 'full'
  end
  redis.call('RPUSH', queue, entry)
  redis.call('HINCRBY', base .. 'n', channel, tonumber(string.sub(entry, 3, 5)))
  ring(channel)
  return 'ok'
end

local function push(channel, entry, head, limit)
  local frames = tonumber(string.sub(head, 3, 5))
  local size = redis.call('HINCRBY', base .. 'n', channel, frames)
  if limit > 0 and (size - frames >= limit
    or odd and redis.call('HEXISTS', base .. 'odd', 'p:' .. channel) == 1) then
    if redis.call('HINCRBY', base .. 'n', channel, -frames) == 0 then
      redis.call('HDEL', base .. 'n', channel)
    end
    return overflow(channel, limit, entry)
  end
  redis.call('RPUSH', base .. 'q:' .. channel, entry)
  ring(channel)
  return 'ok'
end

-- Apply the effect at ARGV[i .. i+4]; "ok", "full", "unserved", "gone" or "parked".
local function apply(i)
  local op, a, b, c, d = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  if op == 'p' then
    return push(a, d .. b, d, tonumber(c))
  elseif op == 's' or op == 'l' or op == 'S' then
    -- s: only where it is served; l: the last of its owner; S: both.
    if op ~= 'l' and redis.call('EXISTS', base .. 'serves:' .. a) == 0 then
      return 'unserved'
    end
    local result = push(a, d .. b, d, tonumber(c))
    local process, connection = string.match(d, '%z([^!]+)!(%Z*)%z')
    if op ~= 's' and result ~= 'full' and process then
      redis.call('HDEL', base .. 'rec:' .. process, connection)
    end
    return result
  elseif op == 't' then
    local result = tell(a, b, not admission)
    if result == 'full' then count('full:inbox') end
    return result
  elseif op == 'g' then
    local members = redis.call('HGETALL', base .. 'g:' .. a)
    for m = 1, #members, 2 do
      local name = string.sub(members[m], 2)
      if string.sub(members[m], 1, 1) == 'i' then
        if tell(name, b) == 'full' then
          count('gap')
          if redis.call('SADD', base .. 'gap:' .. name, a) == 1 then
            local gap = cmsgpack.pack({6, a})
            redis.call('XADD', base .. 'in:' .. name, 'NOMKSTREAM', '*', 'm', gap)
          end
        end
      else
        local capacity, ends = string.match(members[m + 1], '^(%d+) ?(%d*)$')
        local queue = queue_of(name)
        capacity = tonumber(capacity)
        local size = capacity > 0 and redis.call('HGET', base .. 'n', queue)
        if ends ~= '' and tonumber(ends) <= now_ms() then
          redis.call('HDEL', base .. 'g:' .. a, members[m])
        elseif size and tonumber(size) >= capacity then
          count('skipped:' .. queue)
        else
          local head = '00001000k0000000000000' .. name .. '\0\0'
          push(queue, head .. c, head, 0)
        end
      end
    end
  elseif op == 'r' then
    if redis.call('EXISTS', base .. 'in:' .. a) == 0 then
      count('gone')
      return 'gone'
    end
    redis.call('HSET', base .. 'rec:' .. a, b, c)
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
    -- Until when it is a member stands behind its capacity.
    if d ~= '' then c = string.format('%s %.0f', c, now_ms() + tonumber(d)) end
    redis.call('HSET', base .. 'g:' .. a, 'c' .. b, c)
  elseif op == 'X' then
    redis.call('HDEL', base .. 'g:' .. a, 'c' .. b)
  elseif op == 'd' then
    local serial = string.format('%016d', redis.call('INCR', base .. 'serial'))
    redis.call('ZADD', base .. 'due', now_ms() + tonumber(c), serial .. d .. b)
    ring(a)
  elseif op == 'b' then
    local key = base .. 'q:' .. a
    if admission and tonumber(c) > 0 and redis.call('LLEN', key) >= tonumber(c) then
      return 'full'
    end
    redis.call('RPUSH', key, '00000000d0000000000000' .. a .. '\0\0' .. b)
    redis.call('PEXPIRE', key, tonumber(d))
    ring(a)
  end
  return 'ok'
end
