-- Wake as many workers as there are suspects waiting, of those that have none: a worker has
-- one at a time.
local function ring_suspects()
  local odd, told = redis.call('HGETALL', base .. 'odd'), {}
  for i = 1, #odd, 2 do
    local channel, left = string.sub(odd[i], 3), tonumber(odd[i + 1])
    if string.sub(odd[i], 1, 1) == 'p' then left = 0 end
    local bells = left > 0 and redis.call('SMEMBERS', base .. 'idle:' .. channel) or {}
    for _, bell in ipairs(bells) do
      if left == 0 then break end
      -- A bell of nobody is a Pop's, which takes anything.
      local worker = redis.call('HGET', base .. 'idle', bell) or bell
      local token = redis.call('GET', base .. 'sl:' .. worker)
      local has_one = token and redis.call('HEXISTS', base .. 'l:' .. worker, token) == 1
      if not has_one and not told[worker] then
        redis.call('SREM', base .. 'idle:' .. channel, bell)
        knock(bell)
        told[worker] = true
        left = left - 1
      end
    end
  end
end
