"""Ticker."""

from realtime.systems import System

SYSTEM = System(
    name="ticker",
    title="Ticker",
    sentence="Server-sent events from a worker: a held response is a reply channel, and joins a "
    "group.",
    files=("realtime/ticker/views.py",),
)
