#!lua flags=allow-oom
-- Make a living interface known again after this Redis lost state.
-- KEYS[1]  base
-- ARGV     process, info, cursor, F, F x (connection, seq), G, G x group
-- Answer   now ms; nil: this id was buried
local process, cursor = ARGV[1], ARGV[3]
if redis.call('ZSCORE', base .. 'tomb', process) then
  return false
end
redis.call('HSETNX', base .. 'beats', process, 0)
redis.call('HSET', base .. 'kinds', process, 'i')
redis.call('HSET', base .. 'info', process, ARGV[2])
local inbox = base .. 'in:' .. process
if redis.call('EXISTS', inbox) == 0 then
  local id = redis.call('XADD', inbox, '*', 'm', '')
  redis.call('XTRIM', inbox, 'MAXLEN', 0)
  local ms, seq = string.match(id, '(%d+)-(%d+)')
  local cms, cseq = string.match(cursor, '(%d+)-(%d+)')
  if tonumber(cms) > tonumber(ms) or (cms == ms and tonumber(cseq) > tonumber(seq)) then
    -- The clock of this Redis is behind: ids must still come after what was read.
    redis.call('XSETID', inbox, cursor)
  end
end
local i = 5
for _ = 1, tonumber(ARGV[4]) do
  local floor = redis.call('HGET', base .. 'fl:' .. process, ARGV[i])
  if not floor or tonumber(floor) < tonumber(ARGV[i + 1]) then
    redis.call('HSET', base .. 'fl:' .. process, ARGV[i], ARGV[i + 1])
  end
  i = i + 2
end
for k = i + 1, i + tonumber(ARGV[i]) do
  redis.call('HSETNX', base .. 'g:' .. ARGV[k], 'i' .. process, cursor)
  redis.call('SADD', base .. 'pg:' .. process, ARGV[k])
end
return now_ms()
