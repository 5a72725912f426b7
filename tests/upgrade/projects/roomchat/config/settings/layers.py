import os

REDIS = [os.environ.get("REDIS_1", "redis://one:6379"), os.environ.get("REDIS_2", "redis://two:6379")]
COMMON = dict(ROUTING="config.routing.routing", BACKEND="asgi_redis.RedisChannelLayer")
CHANNEL_LAYERS = {
    "default": dict(COMMON, CONFIG={"hosts": REDIS, "expiry": 30}),
}
