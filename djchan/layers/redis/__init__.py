"""The channel layers over Redis or Valkey."""

from djchan.layers.redis.layer import RedisChannelLayer, RedisSentinelChannelLayer

__all__ = ["RedisChannelLayer", "RedisSentinelChannelLayer"]
