-- Put leased entries back at the heads of their channels, in the order they were claimed.
local function give_back(worker, tokens, crashed)
  local leases, given = base .. 'l:' .. worker, 0
  table.sort(tokens, function(one, other) return one > other end)
  for _, token in ipairs(tokens) do
    local name = string.format('%d', token)
    local entry = redis.call('HGET', leases, name)
    if entry then
      redis.call('HDEL', leases, name)
      if crashed then
        local crashes = math.min(99, tonumber(string.sub(entry, 1, 2)) + 1)
        entry = string.format('%02d', crashes) .. string.sub(entry, 3)
      end
      count('taken:' .. channel_of(entry), -tonumber(string.sub(entry, 3, 5)))
      put('LPUSH', channel_of(entry), entry)
      given = given + 1
    end
  end
  return given
end
