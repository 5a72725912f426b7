"""Live scores."""

from realtime.systems import System

SYSTEM = System(
    name="scores",
    title="Live scores",
    sentence="One writer, thousands of readers, and who comes late sees the present state at once.",
    files=("realtime/scores/views.py",),
)
