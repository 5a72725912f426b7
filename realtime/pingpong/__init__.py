"""Ping and pong."""

from realtime.systems import System

SYSTEM = System(
    name="pingpong",
    title="Ping and pong",
    sentence="Class-based consumers: a ping is answered with a pong, and JSON with JSON.",
    files=("realtime/pingpong/views.py",),
)
