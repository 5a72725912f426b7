"""What happens when Django starts: the receiver of the signal is connected."""

from importlib import import_module

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "realtime.notifications"

    def ready(self) -> None:
        import_module("realtime.notifications.signals")
