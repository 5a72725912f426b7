"""The readers' sockets. Anybody may read; nothing that is said here writes.

From ``realtime.scores.routing``; what a reader hears besides comes from whoever changes a
match (``Match.change``), by the group.
"""

from djchan import Group
from djchan.message import Message
from realtime.scores.models import GROUP, Match, told


def scores_connect(message: Message) -> None:
    message.reply_channel.send({"accept": True})
    Group(GROUP).add(message.reply_channel)


def scores_receive(message: Message) -> None:
    """Tell the present state to a reader who asks for it (by any frame).

    A page asks once its socket is open. By then it is in the group, so nothing falls between
    this answer and the group's next message; an answer in scores_connect would be read
    before the reader has joined. The group may be quicker than this answer: of two states
    of a match a reader keeps the one with the higher revision.
    """
    message.reply_channel.send(told(list(Match.objects.all())))


def scores_disconnect(message: Message) -> None:
    Group(GROUP).discard(message.reply_channel)
