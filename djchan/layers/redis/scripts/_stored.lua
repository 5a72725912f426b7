-- How much a layer holds. A channel's messages and bytes are counted in one number, and so in
-- one command: messages * UNIT + bytes. (A channel cannot hold 64 GiB.)
local UNIT = 68719476736 -- 2^36
-- Redis adds up to 2^63; in here numbers are exact up to 2^53, which is 131,072 messages. So no
-- single change is larger than this, and what is stored is exact, however many there are. (What
-- is read of more messages is rounded, by 4 bytes in a million of them: for a limit that will do.)
local EXACT = 4503599627370496 -- 2^52
-- A script reads each figure once and keeps what it adds after that; settle_stored() writes it.
local stored, unwritten = nil, 0 -- Bytes in the whole layer, and what of them is not written.
local held, owed_to = {}, {} -- The same by channel, of messages * UNIT + bytes.
local tails -- Channel -> entries that are queued at the end; nil: each is queued at once.
local known_limits = {}

local function weight(entry)
  return tonumber(string.sub(entry, 3, 5)) * UNIT + #entry
end

-- So many bytes more; how many there were before. The first call writes at once, which tells
-- how many there are.
local function store(bytes)
  if stored then
    stored, unwritten = stored + bytes, unwritten + bytes
  else
    stored = redis.call('HINCRBY', base .. 'bytes', 'all', bytes)
  end
  return stored - bytes
end

-- A channel holds so much more, or less; how much it held before.
local function hold(channel, change)
  local now = held[channel]
  if now then
    now = now + change
    local owed = owed_to[channel] + change
    if owed >= EXACT or owed <= -EXACT then
      now, owed = redis.call('HINCRBY', base .. 'n', channel, owed), 0
    end
    owed_to[channel] = owed
  else
    now = redis.call('HINCRBY', base .. 'n', channel, change)
    owed_to[channel] = 0
  end
  held[channel] = now
  return now - change
end

local function write_tails()
  for channel, entries in pairs(tails or {}) do
    for from = 1, #entries, 1000 do
      local to = math.min(from + 999, #entries)
      redis.call('RPUSH', base .. 'q:' .. channel, unpack(entries, from, to))
    end
    tails[channel] = nil
  end
end

local function settle_stored()
  if tails then write_tails() end
  for channel, change in pairs(owed_to) do
    if change ~= 0 then redis.call('HINCRBY', base .. 'n', channel, change) end
    if held[channel] < UNIT then redis.call('HDEL', base .. 'n', channel) end
  end
  if unwritten ~= 0 then redis.call('HINCRBY', base .. 'bytes', 'all', unwritten) end
end

-- Count bytes beside the queues, in a field of "bytes"; how many there were before.
local function store_in(field, bytes)
  local now = redis.call('HINCRBY', base .. 'bytes', field, bytes)
  if now <= 0 then redis.call('HDEL', base .. 'bytes', field) end
  return now - bytes
end

-- "messages", or "messages bytes total": the limits of a channel and of the layer; 0: none.
-- " f" behind them: the entry has a source.
local function limits_of(text)
  local limits = known_limits[text]
  if not limits then
    local messages, bytes, total, fair = string.match(text, '^(%d+) ?(%d*) ?(%d*) ?(f?)$')
    limits = {tonumber(messages), tonumber(bytes) or 0, tonumber(total) or 0, fair == 'f'}
    known_limits[text] = limits
  end
  return limits
end

-- Which limit is reached by a channel that holds so much, in a layer with so many bytes.
local function reached(limits, size, total)
  local messages = math.floor(size / UNIT)
  if limits[1] > 0 and messages >= limits[1] then return 'full' end
  if limits[2] > 0 and size - messages * UNIT >= limits[2] then return 'full:bytes' end
  if limits[3] > 0 and total >= limits[3] then return 'full:total' end
end
