from asgi_redis import RedisChannelLayer


class FleetLayer(RedisChannelLayer):
    """Counts what waits, for the dashboard."""

    def waiting_positions(self):
        return self.connection(None).llen(self.prefix + "positions")
