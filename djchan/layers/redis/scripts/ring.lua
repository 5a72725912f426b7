#!lua flags=allow-oom
-- Wake whoever waits at these bells.
-- KEYS[1]  base
-- ARGV     bells
-- Answer   nil
for _, bell in ipairs(ARGV) do
  redis.call('RPUSH', base .. 'bell:' .. bell, '1')
  redis.call('PEXPIRE', base .. 'bell:' .. bell, 30000)
end
return false
