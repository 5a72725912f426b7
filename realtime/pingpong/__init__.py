"""Ping and pong: the class-based consumers of djchan.generic."""

from realtime.systems import System

SYSTEM = System(
    name="pingpong",
    title="Ping and pong",
    sentence="Class-based consumers: a ping is answered with a pong, and JSON with JSON.",
    files=(
        "realtime/pingpong/consumers.py",
        "realtime/pingpong/routing.py",
        "realtime/pingpong/static/pingpong/page.js",
    ),
)
