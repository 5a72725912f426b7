-- Values that are kept for consumers. Each begins with its version: 16 digits.

-- Keep a value for so many ms; its version, or nil: it must not be kept. must: "" in any case,
-- "create" where nothing is, "exist" where something is, 16 digits where that version is.
local function keep(key, value, ttl, must)
  local name = base .. 'kept:' .. key
  local before = redis.call('GETRANGE', name, 0, 15)
  if must == 'create' and before ~= '' or must == 'exist' and before == ''
    or #must == 16 and must ~= before then
    return nil
  end
  local time = redis.call('TIME')
  local version = math.max(time[1] * 1000000 + time[2], (tonumber(before) or 0) + 1)
  redis.call('SET', name, string.format('%016.0f', version) .. value, 'PX', ttl)
  return version
end
