-- Deliveries of which some frames are answered.

-- How many frames of delivery seq the floor holds, if it does not hold all.
local function frames_of(floor, seq)
  if floor < seq and floor > seq - 1 then
    return math.floor((floor - seq + 1) * 1000 + 0.5)
  end
  return 0
end

-- Whether not just so many frames of a lease are done. (999: its response has begun.)
local function is_another(entry, since)
  local done = tonumber(string.sub(entry, 6, 8))
  return done ~= since and done ~= 999
end

-- A lease that was taken off goes to the head of its channel, after so many frames of it.
local function put_back(entry, frames)
  if frames then
    entry = string.sub(entry, 1, 5) .. string.format('%03d', frames) .. string.sub(entry, 9)
  end
  local channel = channel_of(entry)
  count('taken:' .. channel, -tonumber(string.sub(entry, 3, 5)))
  put('LPUSH', channel, entry)
end
