"""Notify one person, from anywhere: ``notify(bob, "Dinner is ready", way="view")``.

From a view, a signal, a command and a worker of this site; on to the group ``user_<id>``,
which only that person's sockets are in (``consumers``), and to a row for who is away.
"""

import json
from typing import Any

from django.db import transaction

from djchan import Group
from realtime.notifications.models import Notification

KEPT = 20  # of each person


def group_of(user_id: Any) -> Group:
    return Group(f"user_{user_id}")


def frame(kind: str, **more: Any) -> dict[str, str]:
    return {"text": json.dumps({"kind": kind, **more})}


def notify(user: Any, text: str, *, way: str, message_id: str | None = None) -> Notification:
    """Keep the notification, and push it once the transaction around all this commits.

    ``message_id``: of the message that it is made for, if a consumer calls; run again, it
    finds the row of its first run, and pushes that.
    """
    with transaction.atomic():
        values = {"user": user, "text": text[:200], "way": way}
        if message_id is None:
            made = Notification.objects.create(**values)
        else:
            made, _ = Notification.objects.get_or_create(message_id=message_id, defaults=values)
        drop_old(user)
        # Rolled back, by us or by whoever is around us, it was never there: nothing is sent.
        group_of(user.pk).send(frame("new", item=made.as_item()), on_commit=True)
    return made


def drop_old(user: Any) -> None:
    old = Notification.objects.filter(user=user).order_by("-pk")[KEPT:]
    Notification.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()
