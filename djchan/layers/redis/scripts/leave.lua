#!lua flags=allow-oom
-- Take a process out of groups, each iff it joined no later than what it has applied.
-- KEYS[1]  base
-- ARGV     process, cursor (id of the last inbox entry it applied), groups
-- Answer   nil
for i = 3, #ARGV do leave(ARGV[1], ARGV[i], ARGV[2]) end
return false
