from channels import route, route_class

from scorekeeper.consumers import Scores, add_points

routing = [
    route_class(Scores, path="^/scores/$"),
    route("scores.add", add_points),
]
