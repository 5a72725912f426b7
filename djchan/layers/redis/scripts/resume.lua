#!lua flags=allow-oom
-- Make a living interface known again after this Redis lost state, or may have.
-- KEYS[1]  base
-- ARGV     process, info, cursor, link, number, bytes read, limit of its inbox, room in it,
--          ms for which claims look for copies, F, F x (connection, seq), G, G x group,
--          R, R x (connection, entry)
-- Answer   now ms; nil: this id was buried
local process, cursor, link = ARGV[1], ARGV[3], ARGV[4]
if redis.call('ZSCORE', base .. 'tomb', process) then
  return false
end
redis.call('HSETNX', base .. 'beats', process, 0)
redis.call('HSET', base .. 'kinds', process, 'i')
redis.call('HSET', base .. 'info', process, ARGV[2])
redis.call('SREM', base .. 'stale', process)
redis.call('HSET', base .. 'io', 'l' .. process, ARGV[7], 'r' .. process, ARGV[6],
  'b' .. process, ARGV[8])
redis.call('DEL', base .. 'gap:' .. process)
-- What it sends again may be here already, or was answered; a store that is empty has neither.
local holds = tonumber(redis.call('HGET', base .. 'bytes', 'all') or '0') > 0
for _, name in ipairs(redis.call('HKEYS', base .. 'kinds')) do
  holds = holds or redis.call('EXISTS', base .. 'l:' .. name) == 1
end
if holds then redis.call('SET', base .. 'copies', '1', 'PX', ARGV[9]) end

local inbox = base .. 'in:' .. process
if redis.call('EXISTS', inbox) == 0 then
  redis.call('XADD', inbox, '*', 'm', '')
  redis.call('XTRIM', inbox, 'MAXLEN', 0)
end
local facts = redis.call('XINFO', 'STREAM', inbox)
for k = 1, #facts, 2 do
  if facts[k] == 'last-generated-id' and is_above(cursor, facts[k + 1]) then
    -- State was lost, or the clock is behind: ids must still come after what was read.
    redis.call('XSETID', inbox, cursor)
  end
end

local last = redis.call('HGET', base .. 'num:' .. process, link) or '0'
if tonumber(string.match(last, '^%d+')) < tonumber(ARGV[5]) then
  redis.call('HSET', base .. 'num:' .. process, link, ARGV[5] .. ' ')
end

local i, told = 11, {}
for _ = 1, tonumber(ARGV[10]) do
  local floor = redis.call('HGET', base .. 'fl:' .. process, ARGV[i]) or '-1'
  if tonumber(floor) < tonumber(ARGV[i + 1]) then
    redis.call('HSET', base .. 'fl:' .. process, ARGV[i], ARGV[i + 1])
  end
  told[ARGV[i]] = true
  i = i + 2
end
for _, connection in ipairs(redis.call('HKEYS', base .. 'fl:' .. process)) do
  if not told[connection] then redis.call('HDEL', base .. 'fl:' .. process, connection) end
end
for _, connection in ipairs(redis.call('SMEMBERS', base .. 'cut:' .. process)) do
  if not told[connection] then redis.call('SREM', base .. 'cut:' .. process, connection) end
end

told = {}
for k = i + 1, i + tonumber(ARGV[i]) do
  redis.call('HSETNX', base .. 'g:' .. ARGV[k], 'i' .. process, cursor)
  redis.call('SADD', base .. 'pg:' .. process, ARGV[k])
  told[ARGV[k]] = true
end
for _, group in ipairs(redis.call('SMEMBERS', base .. 'pg:' .. process)) do
  if not told[group] then leave(process, group, cursor) end
end

i = i + 1 + tonumber(ARGV[i])
redis.call('DEL', base .. 'rec:' .. process)
for k = i + 1, i + 2 * tonumber(ARGV[i]), 2 do
  redis.call('HSET', base .. 'rec:' .. process, ARGV[k], ARGV[k + 1])
end
return now_ms()
