"""A response that is left open is a reply channel like a socket's, and joins groups like one.

From ``realtime.ticker.routing``; what a listener hears besides comes from whoever publishes
(``realtime.ticker.views``), by the group.

::

    GET /ticker/events/ ──► listen ──► the response begins, and is in the group
                               └─────► ticker.joined ──► joined: what was missed
                                                           └──► ticker.beat ──► beat, beat …
"""

from djchan import Channel, Group
from djchan.message import Message
from realtime.ticker import feed
from realtime.ticker.models import PERIOD, Beat, Headline


def listen(message: Message) -> None:
    """Begin the response and return: it is held, and costs no worker anything from now on."""
    if message["method"] != "GET":
        message.reply_channel.send({"status": 405, "headers": [("Allow", "GET")]})
        return
    message.reply_channel.send(
        {"status": 200, "headers": feed.HEADERS, **feed.more(feed.RETRY)},
    )
    Group(feed.GROUP).add(message.reply_channel)
    # What was missed is read by the next consumer, which runs when this one's sends have been
    # applied: read here, before the response is in the group, it could lack the latest.
    Channel("ticker.joined").send(
        {"listener": message.reply_channel.name, "after": feed.seen(message.content)}
    )


def joined(message: Message) -> None:
    """Send what was missed; some of it may have come by the group already: see page.js."""
    missed = Headline.objects.filter(pk__gt=message["after"])
    Channel(message["listener"]).send(feed.more(feed.events(missed)))
    turn = Beat.start()
    if turn is not None:
        Channel("ticker.beat").send({"turn": turn})


def beat(message: Message) -> None:
    """A comment to all, and the same again later, for as long as there is somebody."""
    turn = message["turn"]
    # Stop, and only then look: who joins after this look, starts a new chain (joined).
    Beat.stop(turn)
    listeners = Group(feed.GROUP)
    if not listeners.channel_layer.group_channels(listeners.name):
        return
    following = Beat.go_on(turn)
    if following is not None:
        listeners.send(feed.more(feed.STILL_HERE))
        Channel("ticker.beat").send({"turn": following}, delay=PERIOD)


def gone(message: Message) -> None:
    """The client has left, or its response was cut. It would leave its groups anyway."""
    Group(feed.GROUP).discard(message.reply_channel)
