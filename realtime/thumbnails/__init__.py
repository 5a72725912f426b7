"""Work with progress: an image goes to a custom channel, and its page watches."""

from realtime.systems import System

SYSTEM = System(
    name="thumbnails",
    title="Thumbnails",
    sentence="A view hands an image to a custom channel. A worker makes the small ones; you watch.",
    files=(
        "workers/consumers.py",
        "workers/models.py",
        "realtime/thumbnails/views.py",
        "realtime/thumbnails/consumers.py",
        "realtime/thumbnails/routing.py",
        "realtime/thumbnails/static/thumbnails/job.js",
    ),
)
