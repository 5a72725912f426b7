"""Every limit of a worker: one table with defaults and units, refused early in words.

From CHANNEL_LAYERS[alias]["WORKER"] by way of ``djchan.asgi``, and the options of
``runworker``; on to ``djchan.worker`` and the lanes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from djchan.exceptions import InvalidChannelLayer
from djchan.layers.watch import Limits


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """Limits of one worker. Times are seconds."""

    threads: int = 1  # For synchronous consumers.
    concurrency: int = 100  # Async consumers that run at a time.

    attempts: int = 3  # Runs of a delivery, each ended by a crash; then it is a dead letter.
    retry_delay: float = 0.2  # Until a message runs again whose consumer raised ConsumeLater.
    grace: float = 30.0  # For what runs, after the first SIGTERM or SIGINT.
    run_limit: float = 60.0  # One message of websocket.* may run; 0: for as long as it likes.
    http_run_limit: float = 120.0  # The same for http.*.
    # Bytes of large responses, kept on disk until their clients have read them; then 503.
    http_response_disk: int = 4096 * 1024 * 1024

    batch: int = 64  # Deliveries that one claim takes at most …
    batch_seconds: float = 0.005  # … and how long it should take to run them.
    commit_delay: float = 0.005  # A finished delivery waits for others to be committed with.
    slow: float = 0.05  # A delivery waits behind a slow one; then it is given back.
    partial: float = 0.02  # Frames that are done wait for the rest of their delivery.
    turn: float = 0.02  # With fairness: a delivery runs; then the rest of it waits for a turn.
    park_pause: float = 0.1  # A lane rests that sent to a channel which is over its limit.
    stale_wait: float = 0.1  # Until a commit is tried again that waits for its interface.
    reconcile: float = 30.0  # Between two looks at what is leased to us.
    unreadable_wait: float = 30.0  # A channel that a newer version writes to is left alone.

    beat: float = 0.25  # Between two signs of life.
    worker_silence: float = 15.0  # A worker without them is declared dead.
    interface_silence: float = 45.0  # The same for an interface, which loses its sockets by it.

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, int):
                if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                    raise _wrong(field.name, "a whole number above 0", value)
            elif isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise _wrong(field.name, "a number of seconds", value)
        for name in ("stale_wait", "reconcile"):
            if getattr(self, name) <= 0:
                raise _wrong(name, "a number of seconds above 0", getattr(self, name))
        if self.beat <= 0 or self.worker_silence < 4 * self.beat:
            raise _wrong(
                "worker_silence", f"at least 4 times beat ({self.beat:g})", self.worker_silence
            )

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> "WorkerOptions":
        """Options out of a settings dict. Raises InvalidChannelLayer (a ValueError)."""
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                raise InvalidChannelLayer(
                    f"CHANNEL_LAYERS has no option {name!r} under WORKER. "
                    f"There are: {', '.join(known)}."
                )
        return cls(**given)

    def limits(self) -> Limits:
        """What the heartbeat goes by when it watches others."""
        return Limits(worker=self.worker_silence, interface=self.interface_silence)


def _wrong(name: str, rule: str, value: Any) -> InvalidChannelLayer:
    return InvalidChannelLayer(
        f"{name!r} under WORKER in CHANNEL_LAYERS must be {rule}, not {value!r}."
    )
