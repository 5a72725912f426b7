#!lua flags=allow-oom
-- End leased deliveries, each whole or not at all, in order.
-- KEYS[1]  base
-- ARGV     worker, link, number, N, then N times:
--          token, process ("" no address), connection, seq, answer,
--          later delay ms ("" ends here), later done (3 digits), later payload,
--          E, E x effect (5 values, see the prelude)
-- Answer   N x "done" | "fenced" | "superseded", or N x "already"
admission = false
local worker, link, number, n = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local results = {}
if redis.call('HEXISTS', base .. 'beats', worker) == 0 then
  for k = 1, n do results[k] = 'fenced' end
  return results
end
local last = redis.call('HGET', base .. 'num:' .. worker, link)
if last and number <= tonumber(last) then
  for k = 1, n do results[k] = 'already' end
  return results
end
redis.call('HSET', base .. 'num:' .. worker, link, ARGV[3])
local leases = base .. 'l:' .. worker
local i = 5
for k = 1, n do
  local token, process, connection, seq = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
  local effects = tonumber(ARGV[i + 8])
  local later = ARGV[i + 5] ~= ''
  local entry = later and redis.call('HGET', leases, token)
  local result = 'done'
  if redis.call('HDEL', leases, token) == 0 then
    result = 'fenced'
  elseif process ~= '' then
    if redis.call('EXISTS', base .. 'in:' .. process) == 0 then
      process = ''
      count('gone')
    else
      local floor = redis.call('HGET', base .. 'fl:' .. process, connection)
      if floor and seq <= tonumber(floor) then result = 'superseded' end
    end
  end
  if result == 'done' then
    for e = 0, effects - 1 do apply(i + 9 + e * 5) end
    if later then
      -- A response that has begun is not run again, whatever its consumer asked for.
      local done = string.sub(entry, 6, 8)
      if done ~= '999' then done = ARGV[i + 6] end
      redis.call('ZADD', base .. 'due', now_ms() + tonumber(ARGV[i + 5]),
        string.sub(entry, 1, 5) .. done .. string.sub(entry, 9, 22) .. channel_of(entry) .. '\0' .. ARGV[i + 7])
    elseif process ~= '' then
      redis.call('HSET', base .. 'fl:' .. process, connection, ARGV[i + 3])
      if ARGV[i + 4] ~= '' then
        redis.call('XADD', base .. 'in:' .. process, 'NOMKSTREAM', '*', 'm', ARGV[i + 4])
      end
    end
  else
    count(result)
  end
  results[k] = result
  i = i + 9 + effects * 5
end
return results
