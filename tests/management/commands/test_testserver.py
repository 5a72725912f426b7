"""manage.py testserver: a test database, so no layer of the site."""

from django.core.management import call_command
from django.core.management.commands import testserver
from django.db import connection

from djchan.asgi import channel_layers
from djchan.test_mode import CONFIG, MEMORY, VARIABLE, test_mode


def test_it_serves_a_layer_in_memory_and_so_do_the_processes_that_it_starts(monkeypatch, settings):
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "djchan.layers.redis.RedisChannelLayer",
            "CONFIG": {"hosts": ["redis://127.0.0.1:1/0"]},
            "ROUTING": [],
        }
    }
    served = []

    def serve(command, *arguments, **options):
        if command == "runserver":
            layer = channel_layers["default"]
            layer.send("jobs", {"n": 1})  # Raises for a Redis that is not there.
            served.append((test_mode.layers(), layer.waiting()))

    monkeypatch.setattr(test_mode, "chosen", CONFIG)
    monkeypatch.setenv(VARIABLE, CONFIG)
    monkeypatch.setattr(connection.creation, "create_test_db", lambda **options: "test")
    monkeypatch.setattr(testserver, "call_command", serve)
    call_command("testserver", "rows.json")
    assert served == [(MEMORY, {"jobs": 1})]
    assert test_mode.layers() == CONFIG
