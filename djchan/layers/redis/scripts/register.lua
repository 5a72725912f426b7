#!lua flags=allow-oom
-- Make a process known.
-- KEYS[1]  base
-- ARGV     process, kind w|i, info, limit of its inbox in bytes (0: none), room in it,
--          bytes of dead letters (0: no limit), channels a worker serves
-- Answer   now ms; nil: this id was buried
local process, kind = ARGV[1], ARGV[2]
if redis.call('ZSCORE', base .. 'tomb', process) then
  return false
end
redis.call('HSETNX', base .. 'beats', process, 0)
redis.call('HSETNX', base .. 'kinds', process, kind)
redis.call('HSET', base .. 'info', process, ARGV[3])
if ARGV[6] ~= '0' then redis.call('HSET', base .. 'bytes', 'limit', ARGV[6]) end
if kind == 'i' then
  local inbox = base .. 'in:' .. process
  if redis.call('EXISTS', inbox) == 0 then
    -- A stream stays when its last entry goes: this one says that the process lives.
    redis.call('XADD', inbox, '*', 'm', '')
    redis.call('XTRIM', inbox, 'MAXLEN', 0)
    redis.call('HSET', base .. 'io', 'l' .. process, ARGV[4], 'r' .. process, 0,
      'b' .. process, ARGV[5])
  end
else
  local served = base .. 'ch:' .. process
  local closing = redis.call('HGET', base .. 'kinds', process) == 'c'
  for _, channel in ipairs(redis.call('SMEMBERS', served)) do
    redis.call('SREM', base .. 'serves:' .. channel, process)
  end
  redis.call('DEL', served)
  for i = 7, #ARGV do
    redis.call('SADD', served, ARGV[i])
    redis.call('SADD', base .. 'routed', ARGV[i])
    if not closing then redis.call('SADD', base .. 'serves:' .. ARGV[i], process) end
  end
end
return now_ms()
