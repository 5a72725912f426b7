#!lua flags=allow-oom
-- Take one entry off channels for good.
-- KEYS[1]  base
-- ARGV     bell to be noted as idle when there is none ("" none), caller ("" none), its
--          number, ms that the answer is kept, channels
-- Answer   entry or nil; a repeated number is answered again
local bell, link, number = ARGV[1], ARGV[2], tonumber(ARGV[3])
local applied, answer = was_applied(link, number)
if applied then return answer end
promote(now_ms())
if suspected then ring_suspects() end
local odd = redis.call('EXISTS', base .. 'odd') == 1
local fair = redis.call('EXISTS', base .. 'fair') == 1
for i = 5, #ARGV do
  local channel = ARGV[i]
  local entry = odd and take_suspect(channel)
  if not entry then
    if odd then unpark(channel, 1) end
    if fair then
      local one = take_in_turn(channel, 1)
      entry = one and one[1]
    else
      entry = redis.call('LPOP', base .. 'q:' .. channel)
    end
    if entry then taken(channel, tonumber(string.sub(entry, 3, 5)), #entry) end
  end
  if entry then
    local frames = tonumber(string.sub(entry, 3, 5))
    if frames > 0 then count('taken:' .. channel, frames) end
    for k = 5, #ARGV do redis.call('SREM', base .. 'idle:' .. ARGV[k], bell) end
    finish(entry)
    settle_stored()
    note_answer(link, number, ARGV[4], entry)
    return entry
  end
end
settle_stored()
for i = 5, #ARGV do
  if bell ~= '' then redis.call('SADD', base .. 'idle:' .. ARGV[i], bell) end
end
return false
