#!lua flags=allow-oom
-- Return the delivery that would be claimed next on a channel with sources, suspects aside.
-- KEYS[1]  base
-- ARGV     channel
-- Answer   entry or nil
local queue = base .. 'q:' .. ARGV[1]
for _, source in ipairs(redis.call('LRANGE', base .. 'ring:' .. ARGV[1], 0, 1)) do
  local key = source == '-' and queue or queue .. '~' .. source
  local head = redis.call('LINDEX', key, 0)
  if head then
    return head
  end
end
return redis.call('LINDEX', queue, 0)
