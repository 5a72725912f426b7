"""Look at a login again, and close its sockets if it has ended.

From ``signals`` (something was changed) and ``consumers.look_again`` (a socket has just
joined, or the session's time is up); on to the groups of ``binding``. Whatever the event, the
answer is what Django itself says of the session now: so it does no harm to look too often,
and an event that comes twice closes once.
"""

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from django.contrib.auth import get_user, get_user_model
from django.contrib.sessions.models import Session
from django.utils import timezone

from djchan import Channel
from realtime.logins import reasons
from realtime.logins.binding import LOOK, login_group, user_group
from realtime.logins.models import Login, digest_of

# A look that is this late was lost, with a Redis that lost its data.
LOST = timedelta(minutes=1)


def look(digest: str, *, due: str = "", rerun: bool = False) -> None:
    """Close the sockets of this login if it has ended, else see to the next look.

    ``due``: of the delayed message that asks, when it was to come. ``rerun``: whoever asked
    before may have died before its delayed message left.
    """
    login = Login.objects.select_related("user").filter(digest=digest).first()
    session = Session.objects.filter(pk=login.session_key).first() if login else None
    code = ended(session, login.user.pk) if login else reasons.LOGGED_OUT
    if login is None or session is None or code is not None:
        login_group(digest).send({"close": code})
        Login.objects.filter(digest=digest).delete()
    elif rerun or is_to_arm(login.next_look, session.expire_date, due=due, now=timezone.now()):
        arm(login, session.expire_date)


def ended(session: Session | None, user_id: Any) -> int | None:
    """The close code for what ended a login of this user; None if it goes on."""
    if session is None:
        return reasons.LOGGED_OUT
    if session.expire_date <= timezone.now():
        return reasons.EXPIRED
    # As for a request: the user is there and active, and the password is that of the login.
    request: Any = SimpleNamespace(session=_Copy(session.get_decoded()))
    if get_user(request).pk == user_id:
        return None
    is_active = get_user_model().objects.filter(pk=user_id, is_active=True).exists()
    return reasons.PASSWORD_CHANGED if is_active else reasons.DEACTIVATED


def is_to_arm(next_look: datetime | None, expires: datetime, *, due: str, now: datetime) -> bool:
    """Whether a delayed message is to be sent for ``expires``: one at a time for each login.

    A session that was prolonged keeps its earlier look, which then sends for the next.
    """
    if next_look is None or next_look < now - LOST:
        return True
    return expires < next_look or due == next_look.isoformat()


def arm(login: Login, expires: datetime) -> None:
    Login.objects.filter(pk=login.pk).update(next_look=expires)
    delay = max((expires - timezone.now()).total_seconds(), 0) + 0.05
    Channel(LOOK).send({"login": login.digest, "due": expires.isoformat()}, delay=delay)


def look_at_session(session_key: str) -> None:
    digest = digest_of(session_key)
    if Login.objects.filter(digest=digest).exists():  # Others never had a socket.
        look(digest)


def look_at_user(user_id: Any) -> None:
    """All logins of a user who was changed."""
    if not get_user_model().objects.filter(pk=user_id, is_active=True).exists():
        user_group(user_id).send({"close": reasons.DEACTIVATED})
    for login in Login.objects.filter(user_id=user_id):
        look(login.digest)


class _Copy(dict[str, Any]):
    """A session's data, for ``get_user`` to read: it would end a session that it refuses."""

    def flush(self) -> None:
        self.clear()

    def cycle_key(self) -> None:
        pass
