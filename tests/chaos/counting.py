"""Whether one message had its effects once. No I/O happens here.

From ``promises``, for each message; on to the verdict. An effect is seen once, or not at
all, or::

    twice, the same entry       it was taken off, and the store went back in time
    twice, of two runs          both were committed: only a loss of state may do that, and
                                only while nobody had heard of the first one
"""

from collections import Counter

from tests.chaos.timeline import Record, Timeline
from tests.chaos.verdict import Verdict


def count(
    what: str,
    seen: list[Record],
    wanted: Counter[str],
    *,
    span: tuple[float, float],
    heard: float | None,
    optional: bool,
    timeline: Timeline,
    verdict: Verdict,
    interface: int | None = None,
) -> None:
    """Whether a message had its effects once. ``span``: from when until when it may have been
    committed. ``heard``: when its client had the answer. ``optional``: it may not have run.
    ``interface``: which one remembers that it was answered."""
    restored, again, once = _doubles(seen)
    for first, second in restored:
        # The same entry twice: it was taken off, and came back with the store's past.
        losses = timeline.losses(first["at"], second["at"])
        if losses:
            verdict.name("taken again", f"{what} {first['e']}", losses)
        else:
            verdict.broken("doubled", f"{what}: the entry of {first['e']} was there twice")
    for first, second in again:
        losses = [
            loss
            for loss in timeline.losses(*span)
            if loss["at"] <= second["at"]
            and (heard is None or heard >= loss["at"] or _forgot(interface, loss, second, timeline))
        ]
        if losses:
            verdict.name("done again", f"{what} {first['e']}", losses)
        else:
            verdict.broken(
                "doubled",
                f"{what}: {first['e']} by run {first['run']} at {first['at']:.2f} and by run "
                f"{second['run']} at {second['at']:.2f}",
            )
    had = Counter(effect["e"] for effect in once)
    if not had and optional:
        return
    missing = wanted - had
    if missing:
        losses = timeline.losses(*span)
        if losses:
            verdict.name("missing", f"{what} {', '.join(sorted(missing))}", losses)
        else:
            verdict.broken(
                "lost" if not had else "partial",
                f"{what}, said at {span[0]:.2f}: no {', '.join(sorted(missing))}",
            )
    if had - wanted:
        verdict.broken("doubled", f"{what}: {dict(had - wanted)} too many")
    if len({effect["run"] for effect in once}) > 1 and not again:
        losses = timeline.losses(*span)
        if losses:
            verdict.name("of two runs", what, losses)
        else:
            verdict.broken("mixed", f"{what}: effects of two runs")


def _forgot(interface: int | None, loss: Record, second: Record, timeline: Timeline) -> bool:
    """Whether the one who knew of the answer had died when this was done again."""
    return any(
        fault["target"] == interface
        for fault in timeline.over(loss["since"], second["at"], "interface.")
    )


def _doubles(
    seen: list[Record],
) -> tuple[list[tuple[Record, Record]], list[tuple[Record, Record]], list[Record]]:
    """Entries that came twice; effects that another run had, too; and what is left."""
    restored, again, once = [], [], []
    entries: dict[tuple[str, str], Record] = {}
    firsts: dict[tuple[str, str], Record] = {}
    for effect in seen:
        entry = effect["entry"], effect["via"]
        if entry in entries:
            restored.append((entries[entry], effect))
            continue
        entries[entry] = effect
        kind = effect["e"], effect["via"]
        if kind in firsts:
            again.append((firsts[kind], effect))
            continue
        firsts.setdefault(kind, effect)
        once.append(effect)
    return restored, again, once
