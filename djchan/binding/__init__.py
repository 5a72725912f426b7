"""Data binding: changes of a model sent to groups; the names of Channels 1.x's package."""

from djchan.binding.base import Binding
from djchan.binding.bulk import send_changes, send_created

__all__ = ["Binding", "send_changes", "send_created"]
