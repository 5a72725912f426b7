"""The interface: an ASGI 3 application that turns sockets and requests into messages.

It runs none of the project's code. ``application`` is the door; ``websocket`` and ``http``
say what an event means, ``mailbox`` what is sent when, the connections do it.
"""
