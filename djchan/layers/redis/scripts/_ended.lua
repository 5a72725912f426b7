-- What follows the end of a delivery whose interface is dead: the last one of its connection,
-- unless a later one is out. Then the number of this one is not above the floor.
local function finish(entry)
  local process, connection, seq = string.match(entry, '^%Z*%z([^!%z]+)!([^%z\1]*)\1?(%d*)')
  if not process or redis.call('EXISTS', base .. 'in:' .. process) == 1 then return end
  local floor = redis.call('HGET', base .. 'fl:' .. process, connection)
  if seq == '' or not floor or tonumber(seq) > tonumber(floor) then follow(process, connection) end
end
