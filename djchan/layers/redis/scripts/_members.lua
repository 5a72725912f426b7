-- Ids of inbox entries, "ms-seq", and who leaves groups by them.
local function is_above(one, other)
  local ms, seq = string.match(one, '(%d+)-(%d+)')
  local oms, oseq = string.match(other, '(%d+)-(%d+)')
  ms, oms = tonumber(ms), tonumber(oms)
  return ms > oms or (ms == oms and tonumber(seq) > tonumber(oseq))
end

-- Take a process out of a group iff it joined no later than what it has applied.
local function leave(process, group, cursor)
  local generation = redis.call('HGET', base .. 'g:' .. group, 'i' .. process)
  if generation and not is_above(generation, cursor) then
    redis.call('HDEL', base .. 'g:' .. group, 'i' .. process)
    generation = false
  end
  if not generation then redis.call('SREM', base .. 'pg:' .. process, group) end
end
