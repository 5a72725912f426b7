"""Live scores: one writer, thousands of readers."""

from realtime.systems import System

SYSTEM = System(
    name="scores",
    title="Live scores",
    sentence="One writer, thousands of readers, and who comes late sees the present state at once.",
    files=(
        "realtime/scores/consumers.py",
        "realtime/scores/models.py",
        "realtime/scores/routing.py",
        "realtime/scores/views.py",
        "realtime/scores/management/commands/score.py",
        "realtime/scores/static/scores/page.js",
    ),
)
