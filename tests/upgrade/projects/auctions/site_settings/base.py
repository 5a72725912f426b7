SECRET_KEY = "x"
ALLOWED_HOSTS = ["auctions.example"]
ROOT_URLCONF = "auctions.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "auctions.sqlite3"}}
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "auctions.middleware.Timing",
]
STATIC_URL = "/static/"
