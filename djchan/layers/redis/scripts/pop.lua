#!lua flags=allow-oom
-- Take one entry off channels for good.
-- KEYS[1]  base
-- ARGV     bell to be noted as idle when there is none ("" none), channels
-- Answer   entry or nil
local bell = ARGV[1]
promote(now_ms())
for i = 2, #ARGV do
  local entry = redis.call('LPOP', base .. 'q:' .. ARGV[i])
  if entry then
    local frames = tonumber(string.sub(entry, 3, 5))
    if frames > 0 and redis.call('HINCRBY', base .. 'n', ARGV[i], -frames) <= 0 then
      redis.call('HDEL', base .. 'n', ARGV[i])
    end
    for k = 2, #ARGV do redis.call('SREM', base .. 'idle:' .. ARGV[k], bell) end
    return entry
  end
end
for i = 2, #ARGV do
  if bell ~= '' then redis.call('SADD', base .. 'idle:' .. ARGV[i], bell) end
end
return false
