"""A Channels 4 consumer: it lives in the interface process, over the same layer."""

from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer


class Mixed(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        await self.channel_layer.group_add("mixed", self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard("mixed", self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        # To a worker's custom channel, and to everybody in the group.
        await self.channel_layer.send("hear", {"text": text_data})
        await self.channel_layer.group_send("mixed", {"type": "mixed.message", "text": text_data})

    async def mixed_message(self, event: dict[str, Any]) -> None:
        await self.send(text_data=event["text"])
