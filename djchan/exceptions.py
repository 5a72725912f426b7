"""Every exception of djchan.

::

    Exception
    ├── ConsumeLater                      a consumer wants its message again, later
    ├── ResponseLater                     a view promises its response for later
    ├── RequestTimeout                    the request body did not arrive in time
    ├── RequestAborted                    the client left while its body was read
    ├── DenyConnection                    refuse the WebSocket that is connecting
    ├── SendNotAvailableOnDemultiplexer   send on a demultiplexer's stream instead
    ├── ChannelSocketException            base: run() acts on the socket
    │   └── WebsocketCloseException       close the socket with a code
    └── DjchanError                       base of what the library itself reports
        ├── ChannelFull                   a channel is at its capacity
        ├── MessageTooLarge               a message is over the size limit
        ├── InvalidMessage (TypeError)    a message cannot be sent as it is
        ├── InvalidChannelName (TypeError), InvalidGroupName (TypeError)
        ├── InvalidChannelLayer (ValueError)  CHANNEL_LAYERS is wrong
        ├── NoReplyChannel (ValueError)   a message has no reply channel, and one was used
        ├── MissingDecorator (AttributeError)  message.user and the like without their decorator
        ├── InvalidFrame (ValueError)     a client sent what its consumer cannot take
        ├── UndecodableEnvelope           bytes in the layer that we cannot read
        ├── BrokerError                   base of what Redis reports
        │   ├── BrokerUnavailable         Redis cannot be reached, or cannot serve now
        │   │   ├── OutcomeUnknown        a send may or may not have been applied
        │   │   └── SessionUnavailable    a session cannot be read; its consumer has not begun
        │   ├── BrokerRefused             Redis does not take writes now
        │   └── BrokerUnsupported         Redis or Valkey is too old, or lacks a right or command
        ├── SocketError                   base of what a socket view is told
        │   ├── SocketDisconnected        the client has left
        │   ├── SocketStateError          a call that the socket's state does not allow
        │   ├── InvalidSocketValue (ValueError)  a value that cannot be sent, or be a code
        │   └── UnexpectedFrame           the client sent what the view did not ask for
        │       └── InvalidJSON           … or what is no JSON
        ├── ProcessGone                   the layer no longer knows this process
        └── Fenced                        somebody else runs this delivery now

The first block are words a project says to djchan (Channels 1.x's names); ``DjchanError``
and below are words djchan says to a project. The first
paragraph of a class's docstring is its default message.
"""

from typing import Any

from djchan.credentials import without_credentials


class ConsumeLater(Exception):
    """Raised by a consumer to have this message again, after a short while."""


class ResponseLater(Exception):
    """Raised by a view that will answer later on ``request.reply_channel``."""


class RequestTimeout(Exception):
    """The request body did not arrive in time."""


class RequestAborted(Exception):
    """The client went away while its request body was read."""


class DenyConnection(Exception):
    """Raised by a ``websocket.connect`` consumer to refuse the connection."""


class SendNotAvailableOnDemultiplexer(Exception):
    """A demultiplexer cannot send: send on the stream's multiplexer instead."""


class ChannelSocketException(Exception):
    """Raised by a consumer; ``run(message)`` then acts on the socket."""

    def run(self, message: object) -> None:
        raise NotImplementedError


class WebsocketCloseException(ChannelSocketException):
    """Close the WebSocket with ``code`` (1000, or 3000 to 4999; None is 1000)."""

    def __init__(self, code: int | None = None) -> None:
        if code is not None and (
            not isinstance(code, int) or not (code == 1000 or 3000 <= code <= 4999)
        ):
            raise ValueError(
                f"A close code is 1000 or from 3000 to 4999, not {code!r} (RFC 6455, section 7.4)."
            )
        self.code = code
        super().__init__(code)

    def run(self, message: Any) -> None:
        if not message.reply_channel:
            raise NoReplyChannel(
                "WebsocketCloseException needs a message with a reply channel; "
                f"the message on {message.channel.name!r} has none."
            )
        message.reply_channel.send({"close": self.code or True})


class DjchanError(Exception):
    """Something went wrong in djchan."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(args or ((self.__doc__ or "").partition("\n\n")[0],)))


class ChannelFull(DjchanError):
    """The channel is at its capacity; nothing was sent."""


class MessageTooLarge(DjchanError):
    """The message is larger than the layer's max_message_size; nothing was sent."""


class InvalidMessage(DjchanError, TypeError):
    """The message holds something that cannot travel; nothing was sent."""


class InvalidChannelName(DjchanError, TypeError):
    """Not a valid channel name."""


class InvalidGroupName(DjchanError, TypeError):
    """Not a valid group name."""


class InvalidChannelLayer(DjchanError, ValueError):
    """The CHANNEL_LAYERS setting cannot be used.

    A URL in the message loses its user and password.
    """

    def __init__(self, *message: str) -> None:
        super().__init__(*map(without_credentials, message))


class NoReplyChannel(DjchanError, ValueError):
    """The message has no reply channel."""


class MissingDecorator(DjchanError, AttributeError):
    """The consumer of the message lacks the decorator that sets this attribute."""


class InvalidFrame(DjchanError, ValueError):
    """The client sent a frame that its consumer cannot take.

    A consumer that raises it is logged in one line at INFO, without a traceback, and not every
    time: the fault is the client's. The socket stays open.
    """


class UndecodableEnvelope(DjchanError):
    """An entry of the layer cannot be read by this version of djchan."""


class BrokerError(DjchanError):
    """Redis could not do what was asked.

    ``transient``: Redis is there, said so itself, and will serve again without anybody's help.
    """

    def __init__(self, *args: object, transient: bool = False) -> None:
        super().__init__(*args)
        self.transient = transient


class BrokerUnavailable(BrokerError):
    """Redis cannot be reached, or cannot serve now.

    ``sent``: whether what was asked may have reached Redis, and so may have been applied. When
    it is False, nothing was: it is safe to send again. ``cut``: the connection was closed while
    an answer was waited for; a new one may answer at once. ``answered``: there is a server, which
    lets nobody in as it is configured here (the login, TLS, the port).
    """

    def __init__(
        self,
        *args: object,
        sent: bool = True,
        transient: bool = False,
        cut: bool = False,
        answered: bool = False,
    ) -> None:
        super().__init__(*args, transient=transient)
        self.sent = sent
        self.cut = cut
        self.answered = answered


class SessionUnavailable(BrokerUnavailable):
    """The channel session cannot be read now; its consumer has not begun."""


class BrokerRefused(BrokerError):
    """Redis does not take this now (out of memory, no replicas, no disk); nothing was applied."""


class BrokerUnsupported(BrokerError):
    """This Redis cannot be used: it is too old, or lacks a right, a command or a setting."""


class OutcomeUnknown(BrokerUnavailable):
    """The connection to Redis broke before its answer: the send may have been applied."""


class SocketError(DjchanError):
    """Something went wrong on the socket of a socket view."""


class SocketDisconnected(SocketError):
    """The client has left; nothing can be sent, and nothing more will be received."""

    def __init__(self, *args: object, code: int = 1006) -> None:
        super().__init__(*args)
        self.code = code  # The close code: the client's, or 1006 when it said none.


class SocketStateError(SocketError):
    """A socket cannot do this now: it is not accepted yet, or closed."""


class InvalidSocketValue(SocketError, ValueError):
    """Not something that can be sent on a socket, nor a close code or subprotocol of it."""


class UnexpectedFrame(SocketError):
    """The client sent a text frame where bytes were asked for, or bytes for text."""


class InvalidJSON(UnexpectedFrame):
    """The client sent a frame that is no JSON."""


class ProcessGone(DjchanError):
    """The layer no longer knows this process: it was declared dead, or state was lost."""


class Fenced(DjchanError):
    """This delivery was handed to another worker; what this run sends is dropped."""
