"""Data binding: changes of a model sent to groups; the names of Channels 1.x's package."""

from djchan.binding.base import Binding

__all__ = ["Binding"]
