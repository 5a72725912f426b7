from channels.binding.websockets import WebsocketBinding


class TeamBindingBase(WebsocketBinding):
    model = None
    stream = "teams"

    @classmethod
    def group_names(cls, instance):
        return ["teams"]

    def has_permission(self, user, action, pk):
        return True
