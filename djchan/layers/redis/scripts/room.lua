#!lua flags=allow-oom
-- How much may be sent of responses that are sent in parts; a bell to be rung when that changes.
-- KEYS[1]  base
-- ARGV     bell, then process and connection of each
-- Answer   bytes in total, each; 0: nothing was granted yet; -1: it has no reader any more
local bell, answers = ARGV[1], {}
redis.call('DEL', base .. 'bell:' .. bell) -- What was rung is heard.
for i = 2, #ARGV, 2 do
  local process, connection = ARGV[i], ARGV[i + 1]
  if redis.call('EXISTS', base .. 'in:' .. process) == 0
    or redis.call('HEXISTS', base .. 'fl:' .. process, connection) == 0
    or redis.call('SISMEMBER', base .. 'cut:' .. process, connection) == 1 then
    answers[#answers + 1] = -1
  else
    local flow = base .. 'flow:' .. process
    redis.call('HSET', flow, 'b' .. connection, bell)
    answers[#answers + 1] = tonumber(redis.call('HGET', flow, 'g' .. connection) or 0)
  end
end
return answers
