import os

SECRET_KEY = "x"
ALLOWED_HOSTS = [".fleet.example"]
BASE = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
INSTALLED_APPS = [
    *BASE,
    "django.contrib.staticfiles",
    "channels",
    "vehicles",
]
ROOT_URLCONF = "fleet.urls"
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "fleet.sqlite3"},
    "history": {"ENGINE": "django.db.backends.sqlite3", "NAME": "history.sqlite3"},
}
DATABASE_ROUTERS = ["vehicles.routers.HistoryRouter"]
_LAYER = {
    "BACKEND": "fleet.layers.FleetLayer",
    "ROUTING": "fleet.routing.channel_routing",
}
CHANNEL_LAYERS = {
    "default": {**_LAYER, "CONFIG": {"hosts": [os.environ.get("REDIS", "redis://localhost:6379/3")]}},
}
