"""An interface whose worker does what the client says; run by a real server in a process.

    daphne tests.interface.obedient:application

Frames: ``close 1013`` ends the socket with that code, ``later TEXT`` is answered after
half a second, ``flood N`` sends N frames of 64 KiB to all sockets, ``big N`` one of N bytes,
``empty`` an empty text and an empty binary one; any other frame comes back. Paths of
sockets: ``/silent/`` is never answered. Paths of requests: ``/counts/``, ``/later/``,
``/cut/`` (begun and then lost), ``/endless/`` (parts of 64 KiB until the client has left, at
most 640), ``/lost/``, ``/shape/`` (whether the adapter is used).
Deliveries are printed as JSON lines.
"""

import asyncio
import json
from typing import Any

from djchan.interface import daphne
from djchan.interface.application import Interface
from djchan.layers import codec
from djchan.layers.operations import Push
from tests.interface.fakes import FakeLayer, FakeLocal


class Obedient(FakeLocal):
    def _echo(self, push: Push) -> None:
        envelope = codec.decode_envelope(push.payload)
        common = codec.decode(envelope.common)
        messages = [{**common, **codec.decode(frame)} for frame in envelope.frames]
        self.submitted.clear()
        for message in messages:
            shown = {key: message[key] for key in ("path", "code", "order") if key in message}
            print(json.dumps({"channel": envelope.channel, **shown}), flush=True)
        handler = self.handlers.get(envelope.connection)
        if handler is None:
            return
        loop, seq, path = asyncio.get_running_loop(), envelope.seq, messages[0]["path"]
        if path == "/silent/" and envelope.channel == "websocket.connect":
            return
        replies: list[dict[str, Any]] = []
        delay = 0.0
        for message in messages:
            text = message.get("text") or ""
            word, _, rest = text.partition(" ")
            if envelope.channel == "websocket.connect":
                replies.append({"accept": True})
            elif word == "close":
                loop.call_soon(handler.end, int(rest))
            elif word == "later":
                delay = 0.5
                replies.append({"text": rest})
            elif word == "flood":
                for _ in range(int(rest)):
                    for other in list(self.handlers.values()):
                        other.on_replies([{"text": "x" * 65536}])
            elif word == "big":
                replies.append({"text": "x" * int(rest)})
            elif word == "empty":
                replies += [{"text": ""}, {"bytes": b""}]
            elif envelope.channel == "websocket.receive":
                replies.append({key: message[key] for key in ("text", "bytes") if key in message})
        if envelope.channel == "http.request":
            if path == "/cut/":
                start = {"status": 200, "content": b"begun", "more_content": True}
                handler.on_part(seq, 1, 0, start, 5)
                loop.call_later(0.1, handler.on_answer, seq, [], codec.LOST)
                return
            if path == "/endless/":
                self.part(handler, envelope, 0)
                return
            if path == "/lost/":
                handler.on_answer(seq, [], codec.LOST)
                return
            delay = 0.5 if path == "/later/" else 0.0
            content = json.dumps(dict(interface.counts)) if path == "/counts/" else "hello"
            headers = [("Content-Type", "text/plain")]
            replies = [{"status": 200, "headers": headers, "content": content.encode()}]
        loop.call_later(delay, handler.on_answer, seq, replies, "")

    def part(self, handler: Any, envelope: codec.Envelope, index: int) -> None:
        if envelope.connection in self.cuts or index == 640:
            handler.on_answer(envelope.seq, [], "")
            return
        reply = {"status": 200, "content": b"x" * 65536, "more_content": True}
        if index:
            del reply["status"]
        handler.on_part(envelope.seq, 1, index, reply, len(reply.get("content", b"")))
        asyncio.get_running_loop().call_later(0.001, self.part, handler, envelope, index + 1)


layer = FakeLayer()
layer.process = Obedient()
layer.process.echo = True
interface = Interface(
    layer,
    outgoing_bytes=1024 * 1024,
    http_outgoing_bytes=1024 * 1024,
    connect_timeout=0.5,
    http_timeout=5,
    close_wait=2,
    shutdown_grace=2,
)


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope.get("path") != "/shape/":
        await interface(scope, receive, send)
        return
    if scope["type"] == "websocket":
        found = daphne.find_socket(send)
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": type(found).__name__})
        await receive()
        return
    found = daphne.find_request(send)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": type(found).__name__.encode()})
