from liveblog.consumers import connect_blog, disconnect_blog

from djchan.routing import include, route

channel_routing = [
    route("websocket.connect", connect_blog, path=r"^/liveblog/(?P<slug>[^/]+)/stream/$"),
    route("websocket.disconnect", disconnect_blog, path=r"^/liveblog/(?P<slug>[^/]+)/stream/$"),
    route("websocket.connect", "liveblog.consumers.connect_silently", path=r"^/silent/$"),
    include("multichat.routing.websocket_routing", path=r"^/chat/stream"),
    include("multichat.routing.custom_routing"),
    include("lines.routing.routing"),
]
