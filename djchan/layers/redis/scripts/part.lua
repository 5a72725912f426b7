#!lua flags=allow-oom
-- Send one part of a response while its delivery runs on; from now on it is not run again.
-- KEYS[1]  base
-- ARGV     worker, token, process, connection, inbox entry, caller ("" none), its number,
--          ms that the answer is kept
-- Answer   "ok" | "fenced" | "gone"; nil: an older number
local leases, token = base .. 'l:' .. ARGV[1], ARGV[2]
local link, number = ARGV[6], tonumber(ARGV[7])
local applied, answer = was_applied(link, number)
if applied then return answer end
local entry = redis.call('HGET', leases, token)
if not entry then
  count('fenced')
  return 'fenced'
end
if redis.call('SISMEMBER', base .. 'cut:' .. ARGV[3], ARGV[4]) == 1
  or not redis.call('XADD', base .. 'in:' .. ARGV[3], 'NOMKSTREAM', '*', 'm', ARGV[5]) then
  count('gone')
  return 'gone'
end
if string.sub(entry, 6, 8) ~= '999' then
  redis.call('HSET', leases, token, string.sub(entry, 1, 5) .. '999' .. string.sub(entry, 9))
end
note_answer(link, number, ARGV[8], 'ok')
return 'ok'
