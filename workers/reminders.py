"""A task: remind somebody, later. It is a message on the custom channel ``reminders``.

From ``Channel("reminders").send({"user": id, "text": "…"}, delay=seconds)`` in a view; on to
``push.notify``, as from anywhere else. Any worker that serves the channel may run this, and
run it again if another died in the middle: the message's id lets it make one row only.
"""

import logging

from django.contrib.auth import get_user_model

from djchan.message import Message
from realtime.notifications.models import Notification
from realtime.notifications.push import notify

logger = logging.getLogger(__name__)


def remind(message: Message) -> None:
    user = get_user_model().objects.filter(pk=message["user"]).first()
    if user is None:
        logger.warning("Nobody is left to remind; message %s dropped.", message.id)
        return
    notify(user, message["text"], way=Notification.Way.TASK, message_id=message.id)
