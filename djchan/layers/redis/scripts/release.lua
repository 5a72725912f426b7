#!lua flags=allow-oom
-- Give leased deliveries back, unstarted, to the heads of their channels, in order.
-- KEYS[1]  base
-- ARGV     worker, tokens
-- Answer   how many
local tokens = {}
for i = 2, #ARGV do tokens[i - 1] = tonumber(ARGV[i]) end
local given = give_back(ARGV[1], tokens)
settle_stored()
if suspected then ring_suspects() end
return given
