#!lua flags=allow-oom
-- Take a process out of groups, each iff it joined no later than what it has applied.
-- KEYS[1]  base
-- ARGV     process, cursor (id of the last inbox entry it applied), groups
-- Answer   how many
local process = ARGV[1]
local cms, cseq = string.match(ARGV[2], '(%d+)-(%d+)')
cms, cseq = tonumber(cms), tonumber(cseq)
local left = 0
for i = 3, #ARGV do
  local generation = redis.call('HGET', base .. 'g:' .. ARGV[i], 'i' .. process)
  if generation then
    local ms, seq = string.match(generation, '(%d+)-(%d+)')
    ms, seq = tonumber(ms), tonumber(seq)
    if ms < cms or (ms == cms and seq <= cseq) then
      redis.call('HDEL', base .. 'g:' .. ARGV[i], 'i' .. process)
      redis.call('SREM', base .. 'pg:' .. process, ARGV[i])
      left = left + 1
    end
  end
end
return left
