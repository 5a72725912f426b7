-- Inboxes have limits, in bytes of group messages and replies.
local room, owed -- Bytes left; bytes that settle_inboxes() takes off at the end.

-- Put an entry into an inbox, within its limit unless it is exempt. The first one in a script
-- takes its bytes off the room at once, which tells how much there is.
local function tell(process, entry, exempt)
  if not room then room, owed = {}, {} end
  local size, left = #entry, room[process]
  if not left and size > 0 then
    left = redis.call('HINCRBY', base .. 'io', 'b' .. process, -size) + size
    room[process], owed[process] = left, -size
  end
  if size == 0 or exempt or left >= size then
    if redis.call('XADD', base .. 'in:' .. process, 'NOMKSTREAM', '*', 'm', entry) then
      if size > 0 then room[process], owed[process] = left - size, owed[process] + size end
      return 'ok'
    end
  elseif redis.call('EXISTS', base .. 'in:' .. process) == 1 then
    return 'full'
  end
  redis.call('HDEL', base .. 'io', 'b' .. process)
  room[process], owed[process] = nil, nil
  count('gone')
  return 'gone'
end

local function settle_inboxes()
  if not owed then return end
  for process, bytes in pairs(owed) do
    if bytes ~= 0 then redis.call('HINCRBY', base .. 'io', 'b' .. process, -bytes) end
  end
end
