#!lua flags=allow-oom
-- Wake whoever waits at these bells.
-- KEYS[1]  base
-- ARGV     bells
-- Answer   nil
for _, bell in ipairs(ARGV) do knock(bell) end
return false
