"""Make the database, what is in it, and two sessions, whose keys are printed as JSON."""

import json
import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings1x")
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from liveblog.models import Liveblog  # noqa: E402


def logged_in(name: str) -> str:
    client = Client()
    client.force_login(get_user_model().objects.create_user(name, password="secret"))
    session = client.session
    session["sign"] = f"{name}'s"
    session.save()
    return str(session.session_key)


call_command("migrate", "--run-syncdb", verbosity=0)
Liveblog.objects.create(slug="news")
keys = {name: logged_in(name) for name in ("ann", "bob")}
with override_settings(SECRET_KEY="old", SECRET_KEY_FALLBACKS=[]):
    keys["old"] = logged_in("old")
print(json.dumps(keys))
