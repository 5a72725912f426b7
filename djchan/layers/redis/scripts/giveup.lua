#!lua flags=allow-oom
-- End a leased delivery without running it: the only exit besides commit.
-- KEYS[1]  base
-- ARGV     worker, token, reason, bury 0|1, process ("" no address), connection, seq,
--          answer, frames done before
-- Answer   "done" | "fenced" | "superseded" | "stale"
local leases, token = base .. 'l:' .. ARGV[1], ARGV[2]
local entry = redis.call('HGET', leases, token)
if not entry then
  count('fenced')
  return 'fenced'
end
local process, connection = ARGV[5], ARGV[6]
if process ~= '' and redis.call('SISMEMBER', base .. 'stale', process) == 1 then
  -- It may have been answered in what this Redis has lost.
  count('stale')
  return 'stale'
end
redis.call('HDEL', leases, token)
-- A suspect has ended: another may be claimed.
if string.sub(entry, 1, 2) ~= '00' then ring_suspects() end
local seq, since = tonumber(ARGV[7]), tonumber(ARGV[9])
local floor, gone = -1, false
if process ~= '' then
  floor = tonumber(redis.call('HGET', base .. 'fl:' .. process, connection) or math.huge)
  gone = redis.call('EXISTS', base .. 'in:' .. process) == 0
end
local again
if seq > floor and since < frames_of(floor, seq) then
  -- Another copy of it is ahead; of a dead process there may be none.
  if gone then put_back(entry, frames_of(floor, seq)) end
  again = 'superseded'
elseif seq > floor and since > 0 and is_another(entry, since) then
  -- This Redis has lost what was done before: it is to be run again from there.
  put_back(entry)
  again = 'fenced'
end
if again then
  settle_stored()
  if suspected then ring_suspects() end
  count(again)
  return again
end
-- Also of one that could not be read, and so came without an address.
finish(entry)
settle_stored()
if seq <= floor then
  count('superseded')
  return 'superseded'
end
if ARGV[4] == '1' then
  bury(channel_of(entry), entry, ARGV[3])
end
count('giveup:' .. ARGV[3])
if process ~= '' and not gone then
  redis.call('HSET', base .. 'fl:' .. process, connection, ARGV[7])
  if ARGV[8] ~= '' then
    redis.call('XADD', base .. 'in:' .. process, 'NOMKSTREAM', '*', 'm', ARGV[8])
  end
end
return 'done'
