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
-- A suspect has ended: another may be claimed.
if string.sub(entry, 1, 2) ~= '00' then ring_suspects() end
local process, connection = ARGV[5], ARGV[6]
if process == '' then
  -- It could not be read: the last one of its owner may follow all the same.
  local owner, its = string.match(entry, '^%Z*%z([^!%z]+)!(%Z*)%z')
  if owner and redis.call('EXISTS', base .. 'in:' .. owner) == 0 then follow(owner, its) end
else
  local floor = redis.call('HGET', base .. 'fl:' .. process, connection)
  if redis.call('EXISTS', base .. 'in:' .. process) == 0 then
    follow(process, connection)
    process = ''
  end
  if not floor or tonumber(ARGV[7]) <= tonumber(floor) then
    count('superseded')
    return 'superseded'
  end
end
if ARGV[4] == '1' then
  bury(string.sub(entry, 23, string.find(entry, '\0', 23, true) - 1), entry, ARGV[3])
end
count('giveup:' .. ARGV[3])
if process ~= '' then
  redis.call('HSET', base .. 'fl:' .. process, connection, ARGV[7])
  if ARGV[8] ~= '' then
    redis.call('XADD', base .. 'in:' .. process, 'NOMKSTREAM', '*', 'm', ARGV[8])
  end
end
return 'done'
