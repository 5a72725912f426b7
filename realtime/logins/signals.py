"""The events that may end a login; after each, once it is committed, somebody looks.

From Django's signals, in whatever process: a view in a worker, the admin, a shell; on to
``looks``. ``QuerySet.update()`` sends no signal: after one, call ``look_at_user``.

The sessions are rows here (``SESSION_ENGINE`` is Django's "db" or "cached_db"): a logout
deletes one, and so do ``manage.py clearsessions`` and the admin. With another engine, take
``django.contrib.auth.signals.user_logged_out`` in place of the deletion.
"""

from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from realtime.logins import looks


@receiver(post_delete, sender=Session)
@receiver(post_save, sender=Session)  # Its time may be shorter now.
def session_changed(instance: Session, **kwargs: Any) -> None:
    transaction.on_commit(partial(looks.look_at_session, instance.session_key))


@receiver(post_delete, sender=settings.AUTH_USER_MODEL)
@receiver(post_save, sender=settings.AUTH_USER_MODEL)  # The password, is_active.
def user_changed(instance: Any, **kwargs: Any) -> None:
    transaction.on_commit(partial(looks.look_at_user, instance.pk))
