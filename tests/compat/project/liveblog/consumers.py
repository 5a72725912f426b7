import json
from typing import Any

from djchan import Group
from liveblog.models import Liveblog


def connect_blog(message: Any, slug: str) -> None:
    try:
        liveblog = Liveblog.objects.get(slug=slug)
    except Liveblog.DoesNotExist:
        # The way to tell a socket why, before it is open: accept, frame and close in one.
        message.reply_channel.send({"text": json.dumps({"error": "bad_slug"}), "close": True})
        return
    message.reply_channel.send({"accept": True})
    Group(liveblog.group_name).add(message.reply_channel)


def disconnect_blog(message: Any, slug: str) -> None:
    for liveblog in Liveblog.objects.filter(slug=slug):
        Group(liveblog.group_name).discard(message.reply_channel)


def connect_silently(message: Any) -> None:
    """From before 1.0: nothing is answered."""
