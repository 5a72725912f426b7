"""Which logins have, or had, a socket: what has to be looked at when a user is changed."""

import hashlib

from django.conf import settings
from django.db import models


class Login(models.Model):
    """A session in which ``user`` signed in, and which a socket was opened with.

    Made by the first such socket; deleted when the login has ended. ``next_look``: when the
    delayed message comes that looks whether the session has run out of time.
    """

    # What messages and groups call it. The key itself would open the session to whoever
    # reads along there.
    digest = models.CharField(max_length=64, unique=True)
    session_key = models.CharField(max_length=40)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="bound_logins"
    )
    next_look = models.DateTimeField(null=True)
    since = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.user} since {self.since}"


def digest_of(session_key: str) -> str:
    return hashlib.sha256(session_key.encode()).hexdigest()
