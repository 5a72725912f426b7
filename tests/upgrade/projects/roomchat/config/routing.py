from channels import route_class

from rooms.consumers import LobbyConsumer, RoomConsumer

routing = [
    route_class(LobbyConsumer, path=r"^/lobby/$"),
    route_class(RoomConsumer, path=r"^/rooms/(?P<slug>[\w-]+)/$"),
]
