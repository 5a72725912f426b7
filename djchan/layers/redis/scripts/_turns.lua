-- Take so many entries off a channel: of each source in turn the same share of what is wanted.
-- A source that has more left goes to the end of the ring.
local function take_in_turn(channel, wanted)
  local queue, ring_of = base .. 'q:' .. channel, base .. 'ring:' .. channel
  local sources, taken = base .. 'src:' .. channel, {}
  while #taken < wanted do
    local turn = redis.call('LPOP', ring_of, wanted - #taken)
    if not turn then break end
    local many = #turn
    for _, source in ipairs(turn) do
      if source == '-' and redis.call('EXISTS', queue) == 0 then
        -- It needs no share: another one may have it.
        local one = many == wanted - #taken and redis.call('LPOP', ring_of)
        if one then turn[many + 1] = one else many = math.max(1, many - 1) end
        break
      end
    end
    local share = math.floor((wanted - #taken) / many)
    local weights, stay, left, gone = redis.call('HMGET', sources, unpack(turn)), {}, {}, {}
    for k, source in ipairs(turn) do
      local key = source == '-' and queue or queue .. '~' .. source
      local entries = redis.call('LPOP', key, share) or {}
      local rest = tonumber(weights[k] or '0')
      for _, entry in ipairs(entries) do
        taken[#taken + 1] = entry
        if rest > EXACT then
          rest = redis.call('HINCRBY', sources, source, -weight(entry))
        else
          rest = rest - weight(entry)
        end
      end
      if source ~= '-' and (rest < UNIT or #entries == 0) then
        gone[#gone + 1] = source
      else
        stay[#stay + 1] = source
        if source ~= '-' and rest <= EXACT then -- A larger one is written already.
          left[#left + 1] = source
          left[#left + 1] = string.format('%.0f', rest)
        end
      end
    end
    if #left > 0 then redis.call('HSET', sources, unpack(left)) end
    if #gone > 0 then redis.call('HDEL', sources, unpack(gone)) end
    if end_turns(channel) then break end
    if #stay > 0 then redis.call('RPUSH', ring_of, unpack(stay)) end
  end
  local rest = #taken < wanted and redis.call('LPOP', queue, wanted - #taken) or {}
  for _, entry in ipairs(rest) do taken[#taken + 1] = entry end
  return #taken > 0 and taken
end
