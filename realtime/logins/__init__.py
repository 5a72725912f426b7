"""Logins that end."""

from realtime.systems import System

SYSTEM = System(
    name="logins",
    title="Logins that end",
    sentence="Log out, change the password, be deactivated: the sockets of that login close "
    "within two seconds.",
    files=("realtime/logins/views.py",),
)
