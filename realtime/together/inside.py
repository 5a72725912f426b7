"""Two consumers of Channels 4: each socket has an object of its own, in the server's process.

From ``realtime.asgi``; on to the group, through djchan's layer, and so to workers' sockets.
No worker and no queue is on the way of what they receive, and a restart of the server, which
runs this code, ends their sockets: that is the difference to ``consumers.py``.
"""

import json
from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer

from realtime.together.lines import GROUP, said


class Inside(AsyncWebsocketConsumer):
    groups = [GROUP]  # noqa: RUF012  Joined at connect, left at disconnect.

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            message = said("inside", text_data)
        except ValueError as refusal:
            await self.send(text_data=json.dumps({"refused": str(refusal)}))
            return
        await self.channel_layer.group_send(GROUP, message)

    async def together_said(self, event: dict[str, Any]) -> None:
        """What any of the three said: the type of the message names this method."""
        await self.send(text_data=event["text"])


class InsideJson(AsyncJsonWebsocketConsumer):
    groups = [GROUP]  # noqa: RUF012

    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any
    ) -> None:
        try:
            content = await self.decode_json(text_data or "")
        except (ValueError, RecursionError):
            # Left to itself, an exception here would end this socket.
            await self.send_json({"refused": "That is not JSON."})
            return
        await self.receive_json(content)

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        try:
            message = said("json", content.get("text") if isinstance(content, dict) else None)
        except ValueError as refusal:
            await self.send_json({"refused": str(refusal)})
            return
        await self.channel_layer.group_send(GROUP, message)

    async def together_said(self, event: dict[str, Any]) -> None:
        await self.send_json(json.loads(event["text"]))
