-- In front of every script, put there by scripts.py, which adds what else it shares:
-- _queues.lua, _letters.lua, _effects.lua, _members.lua.
--
-- KEYS[1]  base: the layer's prefix, "{prefix}1:"; every key below begins with it, so a
--          layer lies in one hash slot and may compute its keys.
--
-- q:CHANNEL    list   entries waiting, head first
-- ring:CHANNEL list   sources in turn, "-": what has none;  src:CHANNEL  hash  source -> messages
--                     and bytes of it, as in n;  q:CHANNEL~SOURCE  list  its entries
-- fair         set    channels with such a ring
-- copies       string an interface has sent again what may be here already; expires
-- sus:CHANNEL  list   entries waiting that were leased to a worker that died: the suspects
-- park:CHANNEL list   what commits sent to a channel over its limit
-- n            hash   channel -> messages and bytes that wait in q and sus, as one number (see
--                     _stored.lua; an entry may hold several messages)
-- bytes        hash   "all" -> bytes of what waits, is parked or due; "p:" channel -> parked ones;
--                     "d:" channel -> due ones; "x:" channel -> those of dead letters, "dead" ->
--                     of all of them, "limit" -> how many these may have
-- odd          hash   "s:" channel -> suspects, "p:" channel -> parked; no key: nothing unusual
-- due          zset   entries that wait for a time, by ms; before each 16 digits of serial
-- l:WORKER     hash   token -> entry: what is leased to a worker
-- sl:WORKER    string token of the last suspect it was given; in l:WORKER while it has it
-- token serial string the last ones that were given
-- in:PROCESS   stream inbox of an interface process; exists while the process is known
-- io           hash   "l" process -> limit of its inbox in bytes (0: none), "r" -> bytes it has
--                     read, "b" -> bytes there is room for
-- gap:PROCESS  set    groups that were told that messages are missing
-- fl:PROCESS   hash   connection -> highest answered seq (the floor), and after a point how
--                     many frames of the next are (3 digits); who is not here is not
--                     known; of a dead process, while its delivery is out
-- cut:PROCESS  set    connections whose clients left while their response was running
-- flow:PROCESS hash   of responses that are sent in parts: "g" connection -> bytes granted in
--                     total, "b" connection -> bell of the process that sends them
-- rec:PROCESS  hash   connection -> its last entry, to be queued when its process dies
-- orph:PROCESS hash   the same of a dead process: queued when the one before has ended
-- g:GROUP      hash   "i" process -> generation, "c" channel -> its limits, and "/ms"
--                     when it is a member until then
-- pg:PROCESS   set    groups of a process
-- beats kinds clients info   hash   process -> beat, "w" worker | "c" closing worker |
--                     "i" interface, connection ids, text
-- hist         string run of the store that was seen last
-- stale        set    interfaces that have to resume, since that is another one
-- num:PROCESS  hash   link -> "number results" of its last numbered operation;
--                     "c." link -> "number first count" of its last claim, and its tokens
-- once:CALLER  string number (16 digits) and answer of the last numbered operation of a caller
--                     that is no registered process; it expires
-- ch:WORKER    set    channels a worker serves;  serves:CHANNEL  set  its workers
-- routed       set    channels that a worker ever served
-- idle         hash   bell -> worker that found nothing;  idle:CHANNEL  set  bells
-- bell:BELL    list   what an idle worker blocks on
-- tomb         zset   ids of buried processes, by ms
-- dead:CHANNEL stream dead letters: "r" reason, "e" entry; deads  set  who has some
-- stats        hash   counters
-- kept:KEY     string what is kept for consumers, as a connection's session, behind the 16
--              digits of its version; it expires
--
-- An entry is "AAFFFDDDKEEEEEEEEEEEEE" CHANNEL "\0" OWNER "\0" PAYLOAD, with "\1" SOURCE behind
-- CHANNEL if it has one (hexadecimal digits): crashes it was in,
-- messages in it, messages already committed (999: its response had begun), "k" to keep or
-- "d" to drop it when it has expired, and when that is (ms; 0: never, or somebody waits for
-- its answer). OWNER is "PROCESS!CONNECTION" of a numbered delivery, with "\1" SEQ behind it
-- unless it was kept as the last one of its connection; else "".
local base = KEYS[1]

-- Single-reader channels have random names; they share one counter.
local function count(what, times)
  redis.call('HINCRBY', base .. 'stats', string.match(what, '^[^?]*%??'), times or 1)
end

-- The queue of a name: of "prefix!local" it is "prefix!".
local function queue_of(name)
  return string.match(name, '^[^!]*!') or name
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
