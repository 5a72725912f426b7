"""Django's lazy values, which stand for another: translations, ``request.user``.

``djchan.asgi`` imports this, so that wherever there is a layer its messages can hold them: what
such a value stands for when it is sent is what travels. ``djchan.strict_json`` asks, too.
"""

from typing import Any

from django.utils.functional import LazyObject, Promise, empty

from djchan.layers import codec


def resolved(value: "LazyObject[Any]") -> object:
    """The object behind a LazyObject."""
    if value._wrapped is empty:
        value._setup()
    return value._wrapped


codec.lazy[Promise] = str
codec.lazy[LazyObject] = resolved
