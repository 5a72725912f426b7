#!lua flags=allow-oom
-- End a leased delivery without running it: the only exit besides commit.
-- KEYS[1]  base
-- ARGV     worker, token, reason, bury 0|1, process ("" no address), connection, seq,
--          answer
-- Answer   "done" | "fenced" | "superseded"
local leases, token = base .. 'l:' .. ARGV[1], ARGV[2]
local entry = redis.call('HGET', leases, token)
if not entry then
  count('fenced')
  return 'fenced'
end
redis.call('HDEL', leases, token)
local process, connection = ARGV[5], ARGV[6]
if process ~= '' and redis.call('EXISTS', base .. 'in:' .. process) == 0 then
  process = ''
end
if process ~= '' then
  local floor = redis.call('HGET', base .. 'fl:' .. process, connection)
  if floor and tonumber(ARGV[7]) <= tonumber(floor) then
    count('superseded')
    return 'superseded'
  end
end
local channel = channel_of(entry)
if ARGV[4] == '1' then bury(channel, entry, ARGV[3]) end
count('giveup:' .. ARGV[3])
if process ~= '' then
  redis.call('HSET', base .. 'fl:' .. process, connection, ARGV[7])
  if ARGV[8] ~= '' then
    redis.call('XADD', base .. 'in:' .. process, 'NOMKSTREAM', '*', 'm', ARGV[8])
  end
end
return 'done'
