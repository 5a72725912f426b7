"""Logins that end, and take their sockets along."""

from realtime.systems import System

SYSTEM = System(
    name="logins",
    title="Logins that end",
    sentence="Log out, change the password, be deactivated, let the session run out: the sockets "
    "of that login close within two seconds, on every server.",
    files=(
        "realtime/logins/consumers.py",
        "realtime/logins/binding.py",
        "realtime/logins/looks.py",
        "realtime/logins/signals.py",
        "realtime/logins/models.py",
        "realtime/logins/routing.py",
        "realtime/logins/views.py",
        "realtime/logins/static/logins/page.js",
    ),
)
