"""Notifications."""

from realtime.systems import System

SYSTEM = System(
    name="notifications",
    title="Notifications",
    sentence="Pushed from a view, a model signal, a command or a task, to one person’s sockets "
    "alone.",
    files=("realtime/notifications/views.py",),
)
