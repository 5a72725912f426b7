#!lua flags=allow-oom
-- Give leased deliveries back, unstarted, to the heads of their channels, in order.
-- KEYS[1]  base
-- ARGV     worker, tokens in the order they were claimed
-- Answer   how many
local leases, released = base .. 'l:' .. ARGV[1], 0
for i = #ARGV, 2, -1 do
  local entry = redis.call('HGET', leases, ARGV[i])
  if entry then
    redis.call('HDEL', leases, ARGV[i])
    put('LPUSH', channel_of(entry), entry)
    released = released + 1
  end
end
return released
