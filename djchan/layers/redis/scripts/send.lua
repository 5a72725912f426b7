#!lua
-- Apply effects one by one, each meeting its channel's capacity.
-- KEYS[1]  base
-- ARGV     process ("" anonymous), link (of an anonymous one: the caller, "" none), number,
--          fence worker ("" none), fence token, ms that the answer to a caller is kept,
--          F, F x connection to forget, C, C x connection cut off,
--          B, B x connection that begins, N, N x effect (5 values,
--          see _effects.lua)
-- Answer   N x result; nil: the process is not known, or stale, or the number before this
--          one is not. A repeated number is answered again.
local process, link, number = ARGV[1], ARGV[2], tonumber(ARGV[3])
local forget = tonumber(ARGV[7])
local cut = tonumber(ARGV[8 + forget])
local begin = tonumber(ARGV[9 + forget + cut])
local first = 10 + forget + cut + begin
local n = tonumber(ARGV[first])
local results = {}
if process ~= '' then
  local last = redis.call('HGET', base .. 'num:' .. process, link)
  -- Who has a number is known.
  if not last and redis.call('HEXISTS', base .. 'beats', process) == 0
    or redis.call('SISMEMBER', base .. 'stale', process) == 1 then
    return false
  end
  last = last or '0 '
  local space = string.find(last, ' ', 1, true)
  local said = tonumber(string.sub(last, 1, space))
  if said < number - 1 then
    return false
  end
  if said >= number then
    for word in string.gmatch(string.sub(last, space), '%S+') do
      results[#results + 1] = word
    end
    return results
  end
else
  local applied, answer = was_applied(link, number)
  if applied then
    for word in string.gmatch(answer or '', '%S+') do results[#results + 1] = word end
    return answer and results
  end
end
for k = 1, begin do
  redis.call('HSETNX', base .. 'fl:' .. process, ARGV[9 + forget + cut + k], 0)
end
if ARGV[4] ~= '' and redis.call('HEXISTS', base .. 'l:' .. ARGV[4], ARGV[5]) == 0 then
  count('fenced')
  for k = 1, n do results[k] = 'fenced' end
else
  if n > 1 then tails = {} end
  for k = 1, n do results[k] = apply(first + 1 + (k - 1) * 5) end
  settle_inboxes()
  settle_stored()
end
if process ~= '' then
  for k = 1, cut do
    local connection = ARGV[8 + forget + k]
    redis.call('SADD', base .. 'cut:' .. process, connection)
    wake_stream(process, connection)
  end
  -- After all that: what came and is forgotten in the same tick leaves nothing here.
  for k = 8, 7 + forget, 1000 do
    local to = math.min(k + 999, 7 + forget)
    redis.call('HDEL', base .. 'fl:' .. process, unpack(ARGV, k, to))
    redis.call('SREM', base .. 'cut:' .. process, unpack(ARGV, k, to))
    redis.call('HDEL', base .. 'rec:' .. process, unpack(ARGV, k, to))
  end
  if forget > 0 and redis.call('EXISTS', base .. 'flow:' .. process) == 1 then
    for k = 8, 7 + forget do
      wake_stream(process, ARGV[k])
      redis.call('HDEL', base .. 'flow:' .. process, 'g' .. ARGV[k])
    end
  end
  redis.call('HSET', base .. 'num:' .. process, link, ARGV[3] .. ' ' .. table.concat(results, ' '))
else
  note_answer(link, number, ARGV[6], table.concat(results, ' '))
end
return results
