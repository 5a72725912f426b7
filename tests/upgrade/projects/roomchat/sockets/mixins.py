__all__ = ["RoomMixin"]


class RoomMixin(object):
    def connection_groups(self, slug=None, **kwargs):
        return ["room-%s" % slug]
