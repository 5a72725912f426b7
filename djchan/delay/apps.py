"""The app ``djchan.delay``.

From INSTALLED_APPS; on to Django, which finds the model and the command by it.
"""

from django.apps import AppConfig


class DelayConfig(AppConfig):
    name = "djchan.delay"
    # Channels 1.x's label, channels.delay, has a period, and Django takes such no more.
    label = "djchan_delay"
    verbose_name = "djchan: delayed messages"
    # That of the migration, whatever DEFAULT_AUTO_FIELD is.
    default_auto_field = "django.db.models.AutoField"
