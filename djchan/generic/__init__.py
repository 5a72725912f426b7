"""Class-based consumers; the names of Channels 1.x's ``channels.generic``."""

from djchan.generic.base import BaseConsumer

__all__ = ["BaseConsumer"]
