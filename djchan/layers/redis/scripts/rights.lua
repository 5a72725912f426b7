#!lua flags=no-writes
-- Which commands the user of this connection may not run on keys of the layer. Asked at each
-- connect: a script that is stopped half way has applied half of what it does.
-- KEYS[1]  base
-- ARGV     commands
-- Answer   those that it may not run
local denied = {}
for _, command in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(command, '%S+') do words[#words + 1] = word end
  -- As many keys as any of them needs; what it does with them does not matter here.
  for _ = 1, 4 do words[#words + 1] = base end
  local known, allowed = pcall(redis.acl_check_cmd, unpack(words))
  if not (known and allowed) then denied[#denied + 1] = command end
end
return denied
