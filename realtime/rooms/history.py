"""What is kept of a room: what was said, and who is there.

From ``realtime.rooms.consumers``; on to the database.
"""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from realtime.rooms.models import Line, Seat

SHOWN = 50  # lines that who comes is shown
KEPT = 300  # lines of each room
LISTED = 1000  # people of a room
FORGOTTEN = timedelta(hours=1)  # after this a seat that was left is removed

# The page says {"here": true} each minute. A browser, a worker and a server that died are
# noticed at once, by the disconnect message. Only where all died together with the layer (a
# runserver that was killed) nobody is left to send one; who is silent for so long is gone.
SILENT = timedelta(minutes=4)


@transaction.atomic
def say(seat: Seat | None, room: str, text: str, *, message_id: str) -> Line:
    """Keep a line, once for each message, and no more than KEPT of the room."""
    said, is_new = Line.objects.get_or_create(
        message_id=message_id,
        defaults={
            "room": room,
            "name": seat.name if seat else "anon",
            "signed_in": bool(seat and seat.signed_in),
            "text": text,
        },
    )
    if is_new:
        of_the_room = Line.objects.filter(room=room)
        newest_first = of_the_room.order_by("-pk").values_list("pk", flat=True)
        for first_too_many in newest_first[KEPT : KEPT + 1]:
            of_the_room.filter(pk__lte=first_too_many).delete()
    return said


def said_since(room: str, since: int) -> list[dict[str, Any]]:
    """The last lines, the oldest first: those after the line ``since``, at most SHOWN."""
    newest_first = Line.objects.filter(room=room, pk__gt=since).order_by("-pk")
    return [shown(line) for line in reversed(newest_first[:SHOWN])]


def here(room: str) -> list[dict[str, Any]]:
    """Who is there, who came first in front."""
    seats = Seat.objects.filter(room=room, left=None, seen__gt=timezone.now() - SILENT)
    return [person(seat) for seat in seats.order_by("pk")[:LISTED]]


def silent(room: str) -> list[Seat]:
    """The seats whose owners have gone without a word: they are left from now on."""
    now = timezone.now()
    seats = list(Seat.objects.filter(room=room, left=None, seen__lte=now - SILENT)[:LISTED])
    if seats:
        Seat.objects.filter(pk__in=[seat.pk for seat in seats]).update(left=now)
    return seats


def forget() -> None:
    """Remove the seats that were left long ago."""
    Seat.objects.filter(left__lt=timezone.now() - FORGOTTEN).delete()


def shown(line: Line) -> dict[str, Any]:
    return {
        "id": line.pk,
        "name": line.name,
        "signed_in": line.signed_in,
        "text": line.text,
        "at": line.said.isoformat(),
    }


def person(seat: Seat) -> dict[str, Any]:
    return {"seat": seat.pk, "name": seat.name, "signed_in": seat.signed_in}
