"""``BaseConsumer``: a consumer that is a class, with a method for each channel.

From ``djchan.dispatch``, which calls the class as it calls a function; on to the method that
``method_mapping`` names for the message's channel.

::

    class Thumbnails(BaseConsumer):
        method_mapping = {"thumbnails.make": "make", "thumbnails.drop": "drop"}

        def make(self, message, **kwargs): ...

    channel_routing = [Thumbnails.as_route(kind="^image/")]

One instance is made for each message and is done when it is made: what is to be known at the
next message belongs into a session, a database or a group.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from djchan.auth import channel_session_user
from djchan.message import Message
from djchan.routing import RouteClass
from djchan.sessions import channel_session


class BaseConsumer:
    """``method_mapping``: the name of a channel to the name of a method.

    ``channel_session``, ``channel_session_user``: whether the decorator of this name goes
    around the method.
    """

    method_mapping: ClassVar[dict[str, str]] = {}
    channel_session = False
    channel_session_user = False

    def __init__(self, message: Message, **kwargs: Any) -> None:
        self.message = message
        self.kwargs = kwargs
        self.dispatch(message, **kwargs)

    @classmethod
    def channel_names(cls) -> set[str]:
        """The channels that this class takes."""
        return set(cls.method_mapping)

    @classmethod
    def as_route(cls, attrs: dict[str, Any] | None = None, **filters: Any) -> RouteClass:
        """A route to this class; with ``attrs``, to a subclass that has these attributes."""
        if not attrs:
            return RouteClass(cls, **filters)
        # A subclass, since the class itself may stand in other routes too.
        if not isinstance(attrs, dict):
            raise AssertionError(
                f"attrs of {cls.__qualname__}.as_route is a dict of class attributes, "
                f"not {attrs!r:.80}."
            )
        names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, **attrs}
        return RouteClass(type(cls.__name__, (cls,), names), **filters)

    def get_handler(self, message: Message, **kwargs: Any) -> Callable[..., Any]:
        """The method for ``message``, decorated; subclasses add decorators here."""
        handler: Callable[..., Any] = getattr(self, self.method_mapping[message.channel.name])
        if self.channel_session_user:
            handler = channel_session_user(handler)
        elif self.channel_session:
            handler = channel_session(handler)
        return handler

    def dispatch(self, message: Message, **kwargs: Any) -> Any:
        """Call the method for ``message``."""
        return self.get_handler(message, **kwargs)(message, **kwargs)
