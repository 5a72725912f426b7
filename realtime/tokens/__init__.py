"""Tokens, for clients without cookies."""

from realtime.systems import System

SYSTEM = System(
    name="tokens",
    title="Tokens",
    sentence="For clients without cookies: a token in the handshake or in the first message, "
    "kept hashed, with an end, and revoked at once.",
    files=(
        "realtime/tokens/consumers.py",
        "realtime/tokens/models.py",
        "realtime/tokens/reasons.py",
        "realtime/tokens/client.py",
        "realtime/tokens/routing.py",
        "realtime/tokens/views.py",
        "realtime/tokens/static/tokens/page.js",
    ),
)
