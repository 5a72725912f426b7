from app.settings import *  # noqa: F403
from app.settings import INSTALLED_APPS

ROOT_URLCONF = "app.sockets"
INSTALLED_APPS = [*INSTALLED_APPS, "django.contrib.sessions"]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
# Daphne shows what is logged by itself; on uvicorn it is for the project to say so.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"djchan": {"handlers": ["console"], "level": "INFO"}},
}
