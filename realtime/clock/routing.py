"""The sockets."""

from typing import Any

channel_routing: list[Any] = []
