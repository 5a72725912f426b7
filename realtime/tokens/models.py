"""A token: what the database knows of it is not enough to use it."""

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from djchan import Channel, Group
from realtime.tokens import reasons

LOOK = "tokens.look"  # The custom channel of realtime.tokens.consumers.look_again.
COARSE = timedelta(hours=1)
# So that a token is known for one wherever it is found, and is no option of a command.
PREFIX = "djt_"


class Token(models.Model):
    """Lets whoever holds its text in as ``user``. The text is shown once, when it is made."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tokens"
    )
    name = models.CharField(max_length=60)
    # Not a slow hash, as of a password: nobody guesses 256 bits of chance. And looking it up
    # takes no time that would tell of the text: who sends one does not choose its hash.
    digest = models.CharField(max_length=64, unique=True)
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField()
    revoked = models.DateTimeField(null=True)
    last_used = models.DateTimeField(null=True)  # Within an hour: not a write each time.

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"

    @classmethod
    def issue(cls, user: Any, name: str, *, seconds: int) -> tuple["Token", str]:
        """A new token, and its text, which is nowhere else."""
        text = PREFIX + secrets.token_urlsafe(32)
        expires = timezone.now() + timedelta(seconds=seconds)
        token = cls.objects.create(user=user, name=name, digest=digest_of(text), expires=expires)
        token.look_at_its_end(on_commit=True)
        return token, text

    @classmethod
    def of(cls, text: str) -> "Token | None":
        return cls.objects.select_related("user").filter(digest=digest_of(text)).first()

    @property
    def group(self) -> Group:
        """The sockets that this token has let in."""
        return Group(f"token-{self.pk}")

    def refusal(self) -> int | None:
        """The close code for why it is not to be used; None if it may be."""
        if self.revoked is not None:
            return reasons.REVOKED
        if self.expires <= timezone.now():
            return reasons.EXPIRED
        return None if self.user.is_active else reasons.DEACTIVATED

    def note_use(self) -> None:
        now = timezone.now()
        long_ago = Q(last_used=None) | Q(last_used__lt=now - COARSE)
        Token.objects.filter(long_ago, pk=self.pk).update(last_used=now)

    def revoke(self) -> None:
        """Refuse it from now on, and close the sockets that it has let in."""
        self.revoked = timezone.now()
        self.save(update_fields=["revoked"])
        self.group.send({"close": reasons.REVOKED}, on_commit=True)

    def look_at_its_end(self, *, on_commit: bool = False) -> None:
        """Have somebody look when its time is up."""
        delay = max((self.expires - timezone.now()).total_seconds(), 0) + 0.05
        Channel(LOOK).send({"token": self.pk, "at": "end"}, delay=delay, on_commit=on_commit)


def digest_of(text: str) -> str:
    # "replace": half a character, which JSON lets through, is no reason to fail.
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
