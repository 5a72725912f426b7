#!lua
-- Apply effects one by one, each meeting its channel's capacity.
-- KEYS[1]  base
-- ARGV     process ("" anonymous), link, number, fence worker ("" none), fence token,
--          F, F x connection to forget, C, C x connection cut off, N, N x effect (5 values, see the prelude)
-- Answer   N x result; nil: the process is not known. A repeated number is answered again.
local process, link, number = ARGV[1], ARGV[2], tonumber(ARGV[3])
local forget = tonumber(ARGV[6])
local cut = tonumber(ARGV[7 + forget])
local first = 8 + forget + cut
local n = tonumber(ARGV[first])
if process ~= '' then
  if redis.call('HEXISTS', base .. 'beats', process) == 0 then
    return false
  end
  local last = redis.call('HGET', base .. 'num:' .. process, link)
  if last then
    local space = string.find(last, ' ', 1, true)
    if number <= tonumber(string.sub(last, 1, space - 1)) then
      local results = {}
      for word in string.gmatch(string.sub(last, space + 1), '%S+') do
        results[#results + 1] = word
      end
      return results
    end
  end
end
local results = {}
if ARGV[4] ~= '' and redis.call('HEXISTS', base .. 'l:' .. ARGV[4], ARGV[5]) == 0 then
  for k = 1, n do results[k] = 'fenced' end
  return results
end
for k = 1, cut do
  redis.call('SADD', base .. 'cut:' .. process, ARGV[7 + forget + k])
end
-- After that: one that was cut off and is forgotten in the same tick leaves nothing here.
for k = 1, forget do
  redis.call('HDEL', base .. 'fl:' .. process, ARGV[6 + k])
  redis.call('SREM', base .. 'cut:' .. process, ARGV[6 + k])
end
for k = 1, n do
  results[k] = apply(first + 1 + (k - 1) * 5)
end
if process ~= '' then
  redis.call('HSET', base .. 'num:' .. process, link, ARGV[3] .. ' ' .. table.concat(results, ' '))
end
return results
