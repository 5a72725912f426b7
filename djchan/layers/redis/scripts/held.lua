#!lua flags=allow-oom
-- Give back what is leased to a worker and not known to it.
-- KEYS[1]  base
-- ARGV     worker, N, N x token it knows, then pairs: link, number of its last answered claim
-- Answer   how many; -1: none, as it has claimed since it looked; nil: the worker is not known
local worker, n = ARGV[1], tonumber(ARGV[2])
if redis.call('HEXISTS', base .. 'beats', worker) == 0 then
  return false
end
local known, answered, tokens = {}, {}, {}
for i = 3, 2 + n do known[tonumber(ARGV[i])] = true end
for i = 3 + n, #ARGV, 2 do answered[ARGV[i]] = tonumber(ARGV[i + 1]) end
local said = redis.call('HGETALL', base .. 'num:' .. worker)
for i = 1, #said, 2 do
  if string.sub(said[i], 1, 2) == 'c.' then
    local number, first, got = string.match(said[i + 1], '(%d+) (%d+) (%d+)')
    local late = tonumber(number) - (answered[string.sub(said[i], 3)] or 0)
    if late > 1 then
      -- It claims faster than it tells: what the claims before the last one got is not noted.
      return -1
    elseif late == 1 then
      -- Its answer is on the way.
      for token = tonumber(first), first + got - 1 do known[token] = true end
    end
  end
end
for _, token in ipairs(redis.call('HKEYS', base .. 'l:' .. worker)) do
  if not known[tonumber(token)] then tokens[#tokens + 1] = tonumber(token) end
end
local given = give_back(worker, tokens)
if given > 0 then redis.call('HINCRBY', base .. 'stats', 'reconciled', given) end
settle_stored()
if suspected then ring_suspects() end
return given
