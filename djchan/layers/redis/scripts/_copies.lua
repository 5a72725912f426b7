-- Copies that are not run: what they would commit is refused.

-- Whether a numbered delivery was answered, or its connection is over.
local function is_over(process, connection, seq)
  local floor = redis.call('HGET', base .. 'fl:' .. process, connection)
  return not floor or tonumber(seq) <= tonumber(floor)
end

-- Drop those of the entries from "first" on that are over; of a stale interface none, as its
-- floors are not known. Without "all" only suspects are looked at. How many were dropped.
local function drop_copies(entries, first, all)
  local last, kept = #entries, first - 1
  local stale = redis.call('EXISTS', base .. 'stale') == 1
  for i = first, last do
    local entry, process, connection, seq = entries[i], nil, nil, nil
    entries[i] = nil
    if all or string.sub(entry, 1, 2) ~= '00' then
      process, connection, seq = string.match(entry, '^%Z*%z([^!%z]*)!([^%z\1]*)\1(%d+)')
    end
    if process and not (stale and redis.call('SISMEMBER', base .. 'stale', process) == 1)
      and is_over(process, connection, seq) then
      count('superseded')
    else
      kept = kept + 1
      entries[kept] = entry
    end
  end
  return last - kept
end
