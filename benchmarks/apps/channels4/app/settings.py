import os

SECRET_KEY = "only-for-benchmarks"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "app.urls"
INSTALLED_APPS = ["channels"]
USE_TZ = True

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        # The stock capacity of 100 measures back-pressure, not speed.
        "CONFIG": {"hosts": [os.environ["REDIS_URL"]], "capacity": 100_000},
    },
}
