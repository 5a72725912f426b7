-- Keep an entry as a dead letter of its channel: the newest 1000 are. An emptied stream
-- stays, so that no id is used twice.
local function bury(channel, entry, reason)
  redis.call('XADD', base .. 'dead:' .. channel, 'MAXLEN', '=', 1000, '*', 'r', reason, 'e', entry)
  redis.call('SADD', base .. 'deads', channel)
  count('dead:' .. channel)
end
