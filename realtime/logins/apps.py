"""What happens when Django starts: the receivers of the signals are connected."""

from importlib import import_module

from django.apps import AppConfig


class LoginsConfig(AppConfig):
    name = "realtime.logins"

    def ready(self) -> None:
        import_module("realtime.logins.signals")
