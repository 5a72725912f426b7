CONTRIB = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
SOCKETS = ["channels", "channels.delay"]
INSTALLED_APPS = SOCKETS + CONTRIB + ["django.contrib.staticfiles", "auctions"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
