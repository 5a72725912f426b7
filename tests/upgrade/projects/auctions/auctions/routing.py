from channels.routing import route
from channels.staticfiles import StaticFilesConsumer

routing = [
    route("http.request", StaticFilesConsumer()),
    route("websocket.connect", "auctions.sockets.opened"),
    route("bids", "auctions.sockets.take_bid"),
]
