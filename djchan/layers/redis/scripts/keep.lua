#!lua
-- Keep a value for consumers, as a connection's session.
-- KEYS[1]  base
-- ARGV     key, value, ms, must ("", "create", "exist", or the version that has to be there)
-- Answer   its version; 0: it must not be kept
return keep(ARGV[1], ARGV[2], ARGV[3], ARGV[4]) or 0
