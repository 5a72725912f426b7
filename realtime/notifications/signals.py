"""Whoever saves a parcel, in whatever process, its owner hears of it when it is committed."""

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from realtime.notifications.models import Notification, Parcel
from realtime.notifications.push import notify


@receiver(post_save, sender=Parcel)
def parcel_saved(instance: Parcel, created: bool, raw: bool, **kwargs: Any) -> None:
    if created and not raw:  # raw: loaddata puts back what was there before
        text = f"A parcel for you: {instance.label}"
        notify(instance.owner, text, way=Notification.Way.SIGNAL)
