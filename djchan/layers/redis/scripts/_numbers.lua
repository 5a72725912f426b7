-- The numbered operations of callers that are no registered process: the last answer of each
-- is kept for a while, so that one whose answer was lost is answered again, not applied again.

-- Whether this number, or a later one, was applied; and its answer, or false for an older one.
local function was_applied(link, number)
  if link == '' then return false end
  local key = base .. 'once:' .. link
  local last = tonumber(redis.call('GETRANGE', key, 0, 15))
  if not last or last < number then return false end
  return true, last == number and redis.call('GETRANGE', key, 16, -1)
end

local function note_answer(link, number, ms, answer)
  if link == '' then return end
  local text = string.format('%016d', number) .. answer
  redis.call('SET', base .. 'once:' .. link, text, 'PX', ms)
end
