CHANNEL_LAYERS = {}
CHANNEL_LAYERS["default"] = {
    "BACKEND": "asgi_redis.RedisLocalChannelLayer",
    "ROUTING": "auctions.routing.routing",
}
CHANNEL_LAYERS["default"]["CONFIG"] = {"hosts": [("localhost", 6379)], "symmetric_encryption_keys": ["k"]}
