#!lua flags=allow-oom
-- Lease waiting entries to a worker; note it as idle when there are none.
-- KEYS[1]  base
-- ARGV     worker, bell, count, link ("" none), number, again 0|1, highest token it knows,
--          channels in the order to look at
-- Answer   {now ms, next due ms or 0, known 0|1, token of the first, entry, entry, ...};
--          with again, "" stands for what is not leased any more
local worker, bell, wanted = ARGV[1], ARGV[2], math.min(tonumber(ARGV[3]), 2000)
local link, number, again, above = ARGV[4], ARGV[5], ARGV[6] == '1', tonumber(ARGV[7])
local leases = base .. 'l:' .. worker
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kind = redis.call('HGET', base .. 'kinds', worker)
if not kind then
  return {now, 0, 0, 0}
end
local was_idle = redis.call('HDEL', base .. 'idle', bell) == 1
if was_idle then
  -- It is awake: what was rung for it is heard.
  redis.call('DEL', base .. 'bell:' .. bell)
  for i = 8, #ARGV do redis.call('SREM', base .. 'idle:' .. ARGV[i], bell) end
end
if kind == 'c' then
  return {now, 0, 1, 0}
end
local reply, lease = {now, promote(now), 1, 0}, {}
if again then
  local last = redis.call('HGET', base .. 'num:' .. worker, 'c.' .. link) or '0 0 0'
  local said, first, got = string.match(last, '(%d+) (%d+) (%d+)')
  if tonumber(number) <= tonumber(said) then
    if number == said then
      reply[4] = tonumber(first)
      for k = 0, tonumber(got) - 1 do
        reply[5 + k] = redis.call('HGET', leases, string.format('%d', first + k)) or ''
      end
    end
    -- It is not noted as idle: if all of that went back, it has to ask once more.
    knock(bell)
    settle_stored()
    if suspected then ring_suspects() end
    return reply
  end
end
local unusual = redis.call('EXISTS', base .. 'odd', base .. 'fair', base .. 'copies') > 0
local odd = unusual and redis.call('EXISTS', base .. 'odd') == 1
local fair = unusual and redis.call('EXISTS', base .. 'fair') == 1
local copies = unusual and redis.call('EXISTS', base .. 'copies') == 1
local suspect, dropped = false, 0
if odd then
  local token = redis.call('GET', base .. 'sl:' .. worker)
  local has_one = token and redis.call('HEXISTS', leases, token) == 1
  for i = 8, #ARGV do
    if has_one or suspect or wanted == 0 then break end
    suspect = take_suspect(ARGV[i])
  end
  if suspect then
    reply[5], wanted, suspected = suspect, wanted - 1, true
    count('taken:' .. channel_of(suspect), tonumber(string.sub(suspect, 3, 5)))
  end
end
for i = 8, #ARGV do
  if wanted == 0 then break end
  local channel = ARGV[i]
  if odd then unpark(channel, wanted) end
  local entries
  if fair then
    entries = take_in_turn(channel, wanted)
  else
    entries = redis.call('LPOP', base .. 'q:' .. channel, wanted)
  end
  if entries then
    local frames, bytes = 0, 0
    for _, entry in ipairs(entries) do
      reply[#reply + 1] = entry
      frames = frames + tonumber(string.sub(entry, 3, 5))
      bytes = bytes + #entry
    end
    wanted = wanted - #entries
    taken(channel, frames, bytes)
    count('taken:' .. channel, frames)
  end
end
if suspect or copies then
  dropped = drop_copies(reply, 5, copies)
  suspect = suspect and reply[5] == suspect
end
local got = #reply - 4
if got > 0 then
  -- Above all that were given, also in a part of the history that was lost.
  local token = math.max(
    tonumber(redis.call('GET', base .. 'token') or '0'), above, time[1] * 1000000 + time[2])
  redis.call('SET', base .. 'token', token + got)
  reply[4] = token + 1
  for k = 1, got do
    lease[2 * k - 1] = token + k
    lease[2 * k] = reply[4 + k]
  end
  redis.call('HSET', leases, unpack(lease))
  if link ~= '' then
    redis.call('HSET', base .. 'num:' .. worker, 'c.' .. link,
      string.format('%s %d %d', number, token + 1, got))
  end
  if suspect then redis.call('SET', base .. 'sl:' .. worker, token + 1) end
  if wanted == 0 then
    -- More than we took may wait: wake the next idle worker, which does the same.
    for i = 8, #ARGV do
      local channel = ARGV[i]
      if redis.call('EXISTS', base .. 'q:' .. channel, base .. 'park:' .. channel,
        base .. 'ring:' .. channel) > 0 then
        rung[channel] = nil
        ring(channel)
      end
    end
  end
  if was_idle and reply[2] > 0 then ring_for_due(ARGV, 8) end
end
settle_stored()
if suspected then ring_suspects() end
if got == 0 and dropped > 0 then
  -- It has not seen all that waits.
  knock(bell)
elseif got == 0 then
  redis.call('HSET', base .. 'idle', bell, worker)
  for i = 8, #ARGV do redis.call('SADD', base .. 'idle:' .. ARGV[i], bell) end
end
return reply
