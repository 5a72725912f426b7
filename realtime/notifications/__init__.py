"""Notifications, pushed from anywhere."""

from realtime.systems import System

SYSTEM = System(
    name="notifications",
    title="Notifications",
    sentence="Pushed from a view, a model signal, a command or a task, to one person’s sockets "
    "alone; who was away finds them later.",
    files=(
        "realtime/notifications/push.py",
        "realtime/notifications/consumers.py",
        "realtime/notifications/views.py",
        "realtime/notifications/signals.py",
        "realtime/notifications/management/commands/notify.py",
        "workers/reminders.py",
        "realtime/notifications/models.py",
        "realtime/notifications/routing.py",
        "realtime/notifications/static/notifications/page.js",
    ),
)
