"""Tokens."""

from realtime.systems import System

SYSTEM = System(
    name="tokens",
    title="Tokens",
    sentence="Clients without cookies: hashed tokens that expire and can be revoked, in the first "
    "message or the subprotocol.",
    files=("realtime/tokens/views.py",),
)
