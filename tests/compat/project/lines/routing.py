"""The consumers of the lines of Appendix B; the number of each line is in its channel or path."""

from djchan import route, route_class
from lines import consumers, who

routing = [
    # 1: a socket that says what it is told to say
    route("websocket.connect", consumers.say_query, path=r"^/state/$"),
    route("websocket.receive", consumers.say_text, path=r"^/state/$"),
    # 2: each event of the worker
    route("websocket.connect", consumers.deny, path=r"^/rows/deny/$"),
    route("websocket.connect", consumers.fail, path=r"^/rows/fail/$"),
    route("websocket.receive", consumers.event, path=r"^/rows/$"),
    # 3: sends that wait
    route("websocket.connect", consumers.join, path=r"^/buffer/(?P<group>\w+)/$"),
    route("websocket.receive", consumers.send, path=r"^/buffer/(?P<group>\w+)/$"),
    # 5: the answer to a promise
    route("answer", consumers.answer),
    # 6: who is it?
    *who.routing,
    route("password", who.change_password),
    # 7: one after the other
    route("websocket.connect", consumers.ordered_connect, path=r"^/ordered/$"),
    route("websocket.receive", consumers.ordered, path=r"^/ordered/$"),
    route("websocket.disconnect", consumers.ordered_end, path=r"^/ordered/$"),
    # 8: in its time
    route("due", consumers.due),
    # 9: work
    route(["work.slow", "work.not"], consumers.work),
    # 4: slow, on a socket
    route("websocket.receive", consumers.dawdle, path=r"^/dawdle/$"),
    route("websocket.disconnect", consumers.gone, path=r"^/dawdle/$"),
    route_class(who.Streams, path=r"^/streams/$"),
]
