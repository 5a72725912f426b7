-- What a send or a commit does to channels, groups and inboxes.
-- Apply the effect at ARGV[i .. i+4]; "ok", "full", "unserved", "gone" or "parked".
local function apply(i)
  local op, a, b, c, d = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  if op == 'p' then
    return push(a, d .. b, limits_of(c))
  elseif op == 's' or op == 'l' or op == 'S' then
    -- s: only where it is served; l: the last of its owner; S: both.
    if op ~= 'l' and redis.call('EXISTS', base .. 'serves:' .. a) == 0 then
      return 'unserved'
    end
    local result = push(a, d .. b, limits_of(c))
    local process, connection = string.match(d, '%z([^!]+)!([^%z\1]*)')
    if op ~= 's' and string.sub(result, 1, 4) ~= 'full' and process then
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
        local bounds, ends = string.match(members[m + 1], '^([%d ]+)/?(%d*)$')
        local queue = queue_of(name)
        if ends ~= '' and tonumber(ends) <= now_ms() then
          redis.call('HDEL', base .. 'g:' .. a, members[m])
        elseif bounds ~= '0' and reached(limits_of(bounds),
          held[queue] or tonumber(redis.call('HGET', base .. 'n', queue) or '0'), store(0)) then
          count('skipped:' .. queue)
        else
          push(queue, '00001000k0000000000000' .. name .. '\0\0' .. c, {0, 0, 0})
        end
      end
    end
  elseif op == 'w' then
    if redis.call('HEXISTS', base .. 'fl:' .. a, b) == 0 then return 'gone' end
    redis.call('HSET', base .. 'flow:' .. a, 'g' .. b, c)
    wake_stream(a, b)
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
    -- Until when it is a member stands behind its limits.
    if d ~= '' then c = string.format('%s/%.0f', c, now_ms() + tonumber(d)) end
    redis.call('HSET', base .. 'g:' .. a, 'c' .. b, c)
  elseif op == 'X' then
    redis.call('HDEL', base .. 'g:' .. a, 'c' .. b)
  elseif op == 'd' then
    return delay(a, d .. b, limits_of(c))
  elseif op == 'b' then
    local key = base .. 'q:' .. a
    if admission and tonumber(c) > 0 and redis.call('LLEN', key) >= tonumber(c) then
      return 'full'
    end
    redis.call('RPUSH', key, '00000000d0000000000000' .. a .. '\0\0' .. b)
    redis.call('PEXPIRE', key, tonumber(d))
    ring(a)
  elseif op == 'keep' then
    if not keep(a, b, c, d) then
      count('unkept')
      return 'gone'
    end
  elseif op == 'drop' then
    redis.call('DEL', base .. 'kept:' .. a)
  elseif op == 'e' then
    redis.call('DEL', base .. 'q:' .. a)
  end
  return 'ok'
end
