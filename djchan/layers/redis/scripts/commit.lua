#!lua flags=allow-oom
-- End leased deliveries, each whole or not at all, in order.
-- KEYS[1]  base
-- ARGV     worker, link, number, N, then N times:
--          token, process ("" no address), connection, seq, answer, frames done before,
--          later delay ms ("" none), done (3 digits; "" ends here, with a delay it is put
--          back, without it goes on), later payload,
--          E, E x effect (5 values, see _effects.lua)
-- Answer   N x "done" | "parked" | "fenced" | "superseded" | "stale", or N x "already"
admission = false
local worker, link, number, n = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local results = {}
local last = redis.call('HGET', base .. 'num:' .. worker, link)
if last then
  local said = tonumber(last) or tonumber(string.match(last, '^%d+'))
  if number <= said then
    -- Only where something was stale the words were kept.
    if number == said then
      for word in string.gmatch(last, '%a+') do results[#results + 1] = word end
    end
    for k = #results + 1, n do results[k] = 'already' end
    return results
  end
elseif redis.call('HEXISTS', base .. 'beats', worker) == 0 then
  for k = 1, n do results[k] = 'fenced' end
  redis.call('HINCRBY', base .. 'stats', 'fenced', n)
  return results
end
local leases = base .. 'l:' .. worker
local stale = false
local asked, home -- A process, and whether it is "here", "stale" or "gone".
if redis.call('EXISTS', base .. 'odd', base .. 'stale') > 0 then
  odd = redis.call('EXISTS', base .. 'odd') == 1
  stale = redis.call('EXISTS', base .. 'stale') == 1
end

-- The outcome at ARGV[i], with so many effects; its result.
local function settle(i, effects)
  local token, process, connection = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local since, done = ARGV[i + 5], ARGV[i + 7]
  local goes_on = done ~= '' and ARGV[i + 6] == ''
  if process ~= asked then
    asked, home = process, 'here'
    if process == '' then
      home = nil
    elseif redis.call('EXISTS', base .. 'in:' .. process) == 0 then
      home = 'gone'
    elseif stale and redis.call('SISMEMBER', base .. 'stale', process) == 1 then
      home = 'stale'
    end
  end
  local entry = (done ~= '' or since ~= '0' or home == 'stale' or home == 'gone')
    and redis.call('HGET', leases, token)
  if entry and home == 'stale' then
    return 'stale'
  elseif goes_on and not entry or not goes_on and redis.call('HDEL', leases, token) == 0 then
    return 'fenced'
  end
  if home then
    local floor = tonumber(redis.call('HGET', base .. 'fl:' .. process, connection) or math.huge)
    local seq = tonumber(ARGV[i + 3])
    local frames = frames_of(floor, seq)
    if seq <= floor or tonumber(since) < frames then
      if goes_on then redis.call('HDEL', leases, token) end
      -- Nobody sends the rest of a dead process's any more, so it is this copy's to run. (After
      -- one that was answered nothing follows: a later one may be out.)
      if home == 'gone' and seq > floor then put_back(entry, frames) end
      return 'superseded'
    end
    if home == 'gone' then count('gone') end
  end
  if since ~= '0' and is_another(entry, tonumber(since)) then
    -- This Redis has lost what was done before: it is to be run again from there.
    if goes_on then redis.call('HDEL', leases, token) end
    put_back(entry)
    return 'fenced'
  end
  local result = 'done'
  for e = 0, effects - 1 do
    if apply(i + 10 + e * 5) == 'parked' then result = 'parked' end
  end
  if done ~= '' then
    -- A response that has begun is not run again, whatever its consumer asked for.
    if string.sub(entry, 6, 8) == '999' then done = '999' end
    local crashes = string.sub(entry, 1, 2)
    if goes_on then
      if crashes > '01' then crashes = '01' end
      entry = crashes .. string.sub(entry, 3, 5) .. done .. string.sub(entry, 9)
      redis.call('HSET', leases, token, entry)
    else
      local delay = tonumber(ARGV[i + 6])
      local name_end = string.find(entry, '\0', 23, true)
      local to = string.find(entry, '\0', name_end + 1, true)
      entry = string.sub(entry, 1, 5) .. done .. string.sub(entry, 9, to) .. ARGV[i + 8]
      if delay == 0 then
        put_back(entry)
      else
        local serial = string.format('%016d', redis.call('INCR', base .. 'serial'))
        redis.call('ZADD', base .. 'due', now_ms() + delay, serial .. entry)
        store(#entry)
        store_in('d:' .. channel_of(entry), #entry)
        -- Who commits need not claim: somebody has to wait for it.
        ring(channel_of(entry))
      end
    end
  elseif home == 'gone' then
    follow(process, connection)
  end
  if done ~= '000' and (home == 'here' or home == 'gone' and done ~= '') then
    local floor = ARGV[i + 3]
    if done ~= '' then floor = string.format('%d.%s', floor - 1, ARGV[i + 7]) end
    redis.call('HSET', base .. 'fl:' .. process, connection, floor)
    if ARGV[i + 4] ~= '' then
      redis.call('XADD', base .. 'in:' .. process, 'NOMKSTREAM', '*', 'm', ARGV[i + 4])
    end
  end
  return result
end

if n > 1 then tails = {} end
local i, words = 5, ''
for k = 1, n do
  local effects = tonumber(ARGV[i + 9])
  local result = settle(i, effects)
  results[k] = result
  if result ~= 'done' and result ~= 'parked' then count(result) end
  if result == 'stale' then words = nil end
  i = i + 10 + effects * 5
end
words = words or table.concat(results, ' ')
redis.call('HSET', base .. 'num:' .. worker, link, ARGV[3] .. ' ' .. words)
settle_inboxes()
settle_stored()
-- A suspect of this worker may have ended.
if odd or suspected then ring_suspects() end
return results
