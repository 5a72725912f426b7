"""Work queues in Redis, two ways: djchan's scripts on lists, and a stream with a group.

::

    python -m benchmarks.queues --messages 50000 --batch 64 --repeat 3

A private redis-server carries each of them in turn. *send* appends messages, a batch in one
round trip; *work* claims a batch and, in the round trip after it, ends the one before. What
is counted is the CPU time of the server, which is what a layer's Redis runs out of, memory
per waiting message, and messages per second of this one client.

lists            the layer's own scripts: capacity checked at the send, lease and fencing
                 token at the claim, an atomic and repeatable commit
stream           XADD; XREADGROUP, then XACK and XDEL: no capacity, nothing is fenced, and an
                 acknowledgement carries no effects
stream, scripts  the same stream inside scripts that refuse at capacity, fence, and do not
                 repeat: what it costs to give a stream the lists' promises
"""

import argparse
import hashlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import redis

from djchan.layers.operations import Claim, Commit, Outcome, Push, Register, Send
from djchan.layers.redis import commands
from djchan.layers.redis.scripts import SCRIPTS
from tests.support.servers import Server

BASE = commands.base_of("bench")
CAPACITY = 10_000_000

STREAM_SEND = b"""#!lua
-- KEYS[1] stream  ARGV capacity, payloads
local room = tonumber(ARGV[1]) - redis.call('XLEN', KEYS[1])
local results = {}
for i = 2, #ARGV do
  if room > 0 then
    redis.call('XADD', KEYS[1], '*', 'm', ARGV[i])
    room = room - 1
    results[#results + 1] = 'ok'
  else
    results[#results + 1] = 'full'
  end
end
return results
"""

STREAM_COMMIT = b"""#!lua flags=allow-oom
-- KEYS[1] stream, [2] numbers  ARGV worker, number, ids
if tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0') >= tonumber(ARGV[2]) then
  return {'already'}
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
local results = {}
for i = 3, #ARGV do
  -- An id that is pending with somebody else is not ours to end.
  local pending = redis.call('XPENDING', KEYS[1], 'g', ARGV[i], ARGV[i], 1, ARGV[1])
  if pending[1] then
    redis.call('XACK', KEYS[1], 'g', ARGV[i])
    redis.call('XDEL', KEYS[1], ARGV[i])
    results[#results + 1] = 'done'
  else
    results[#results + 1] = 'fenced'
  end
end
return results
"""


class Client:
    """One connection; a list of commands is one round trip."""

    def __init__(self, port: int) -> None:
        self._connection = redis.Connection(port=port, protocol=2)
        self._connection.connect()

    def __call__(self, *batch: tuple[Any, ...]) -> list[Any]:
        connection = self._connection
        connection.send_packed_command(connection.pack_commands(batch), check_health=False)
        return [connection.read_response() for _ in batch]

    def info(self, section: str) -> dict[str, str]:
        (text,) = self(("INFO", section))
        return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)

    def cpu(self) -> float:
        """Seconds of CPU time of the server so far."""
        info = self.info("cpu")
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])

    def close(self) -> None:
        self._connection.disconnect()


class Lists:
    name = "lists"

    def __init__(self, client: Client) -> None:
        self._client = client
        self._number = 0
        client(*(("SCRIPT", "LOAD", text) for text in SCRIPTS.values()))
        client(commands.render(BASE, Register("W", "worker", b"", ("a",))))

    def send(self, payloads: list[bytes]) -> None:
        effects = tuple(Push("a", payload, CAPACITY) for payload in payloads)
        self._client(commands.render(BASE, Send("", 0, effects)))

    def work(self, count: int) -> int:
        claim = commands.render(BASE, Claim("W", "W.1", ("a",), count))
        done, tokens = 0, []
        while True:
            batch = [claim]
            if tokens:
                self._number += 1
                outcomes = tuple(Outcome(token) for token in tokens)
                batch.insert(0, commands.render(BASE, Commit("W", "1", self._number, outcomes)))
            got = self._client(*batch)[-1]
            tokens = [got[3] + index for index in range(len(got) - 4)]
            done += len(tokens)
            if not tokens:
                return done


class Stream:
    name = "stream"

    def __init__(self, client: Client) -> None:
        self._client = client
        client(("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"))

    def send(self, payloads: list[bytes]) -> None:
        self._client(*(("XADD", "s", "*", "m", payload) for payload in payloads))

    def work(self, count: int) -> int:
        claim = ("XREADGROUP", "GROUP", "g", "W", "COUNT", count, "STREAMS", "s", ">")
        done, ids = 0, []
        while True:
            batch: list[tuple[Any, ...]] = [claim]
            if ids:
                batch[:0] = self._end(ids)
            got = self._client(*batch)[-1]
            ids = [entry_id for entry_id, _ in got[0][1]] if got else []
            done += len(ids)
            if not ids:
                return done

    def _end(self, ids: list[bytes]) -> list[tuple[Any, ...]]:
        return [("XACK", "s", "g", *ids), ("XDEL", "s", *ids)]


class ScriptedStream(Stream):
    name = "stream, scripts"

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._number = 0
        self._send, self._commit = (
            hashlib.sha1(text, usedforsecurity=False).hexdigest()
            for text in (STREAM_SEND, STREAM_COMMIT)
        )
        client(("SCRIPT", "LOAD", STREAM_SEND), ("SCRIPT", "LOAD", STREAM_COMMIT))

    def send(self, payloads: list[bytes]) -> None:
        self._client(("EVALSHA", self._send, 1, "s", CAPACITY, *payloads))

    def _end(self, ids: list[bytes]) -> list[tuple[Any, ...]]:
        self._number += 1
        return [("EVALSHA", self._commit, 2, "s", "n", "W", self._number, *ids)]


Row = tuple[float, float, float, float, float]


def measure(way: Callable[[Client], Any], *, messages: int, batch: int, size: int) -> Row:
    """Send us, work us (CPU of the server per message), bytes, sent/s and worked/s."""
    server = Server("redis")
    server.start()
    try:
        client = Client(server.port)
        queue = way(client)
        before = int(client.info("memory")["used_memory"])
        payloads = [bytes(size)] * batch
        cpu, at = client.cpu(), time.perf_counter()
        for _ in range(messages // batch):
            queue.send(payloads)
        sent_at, sent_cpu = time.perf_counter(), client.cpu()
        memory = int(client.info("memory")["used_memory"]) - before
        work_at = time.perf_counter()
        done = queue.work(batch)
        end_at, end_cpu = time.perf_counter(), client.cpu()
        client.close()
    finally:
        server.remove()
    if done != messages // batch * batch:
        raise AssertionError(f"{done} of {messages} messages came out")
    return (
        (sent_cpu - cpu) / done * 1e6,
        (end_cpu - sent_cpu) / done * 1e6,
        memory / done,
        done / (sent_at - at),
        done / (end_at - work_at),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queues")
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--batch", type=int, default=64, help="messages of one round trip")
    parser.add_argument("--size", type=int, default=200, help="bytes of one message")
    parser.add_argument("--repeat", type=int, default=3, help="medians of so many runs")
    options = parser.parse_args()
    print(f"{options.messages} messages of {options.size} B, {options.batch} a round trip;")
    print(f"medians of {options.repeat}; us of the server's CPU per message")
    print(f"{'':16} {'send us':>8} {'work us':>8} {'B/msg':>7} {'sent/s':>9} {'worked/s':>9}")
    for way in (Lists, Stream, ScriptedStream):
        rows = [
            measure(way, messages=options.messages, batch=options.batch, size=options.size)
            for _ in range(options.repeat)
        ]
        send, work, memory, sent, worked = map(statistics.median, zip(*rows, strict=True))
        print(f"{way.name:16} {send:8.2f} {work:8.2f} {memory:7.0f} {sent:9.0f} {worked:9.0f}")


if __name__ == "__main__":
    main()
