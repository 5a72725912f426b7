#!lua flags=allow-oom
-- Take one entry off channels for good.
-- KEYS[1]  base
-- ARGV     bell to be noted as idle when there is none ("" none), caller ("" none), its
--          number, ms that the answer is kept, ms that the bell is noted, channels
-- Answer   entry; or ms until a delayed entry is due, of whatever channel; or nil. A repeated
--          number is answered again.
local bell, link, number = ARGV[1], ARGV[2], tonumber(ARGV[3])
local applied, answer = was_applied(link, number)
if applied then return answer end
local now = now_ms()
local due = promote(now)
if suspected then ring_suspects() end
local odd = redis.call('EXISTS', base .. 'odd') == 1
local fair = redis.call('EXISTS', base .. 'fair') == 1
for i = 6, #ARGV do
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
    for k = 6, #ARGV do redis.call('SREM', base .. 'idle:' .. ARGV[k], bell) end
    finish(entry)
    settle_stored()
    note_answer(link, number, ARGV[4], entry)
    return entry
  end
end
settle_stored()
for i = 6, #ARGV do
  local idle = base .. 'idle:' .. ARGV[i]
  if bell ~= '' then
    redis.call('SADD', idle, bell)
    -- Nobody declares a caller dead, so what it leaves expires; not the bells of workers.
    if redis.call('EXISTS', base .. 'serves:' .. ARGV[i]) == 0
      and redis.call('PTTL', idle) < tonumber(ARGV[5]) then
      redis.call('PEXPIRE', idle, ARGV[5])
    end
  end
end
return due > 0 and math.max(1, due - now)
