from channels import include

channel_routing = [
    include('board.routing.channel_routing', path=r'^/board/'),
]
