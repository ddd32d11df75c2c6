"""Compares what was witnessed with what the journal says, invariant by invariant."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from tests.durability.journal import Journal, Row, Rows, read_rows
from tests.durability.witness import Event, seen


@dataclass
class Verdict:
    """How a run came out. A violation names the job; `figures` are for people."""

    lost: list[str] = field(default_factory=list)
    phantoms: list[str] = field(default_factory=list)
    unbounded: list[str] = field(default_factory=list)
    overlaps: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)

    @property
    def violated(self) -> dict[str, list[str]]:
        """What does not hold, with examples."""
        names = ("lost", "phantoms", "unbounded", "overlaps", "unfinished", "damage")
        return {name: getattr(self, name)[:5] for name in names if getattr(self, name)}

    def assert_clean(self) -> None:
        """Raise if anything does not hold."""
        assert not self.violated, f"{self.violated}; {self}"

    def __str__(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in self.figures.items())


class History:
    """The witnessed events by what they are asked for."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.intents = {e.token for e in events if e.kind == "intent"}
        self.acked = {e.token for e in events if e.kind == "acked"}
        self.refused = {e.token for e in events if e.kind == "refused"}
        self.killed = {e.pid: e.at for e in events if e.kind == "kill"}
        self.starts: defaultdict[str, list[Event]] = defaultdict(list)
        self.ends: dict[tuple[str, int], int] = {}
        for event in events:
            if event.kind == "start":
                self.starts[event.token].append(event)
            elif event.kind == "end":
                self.ends[event.token, event.pid] = event.at

    @property
    def duplicates(self) -> int:
        """Starts beyond the first of each job."""
        return sum(len(starts) - 1 for starts in self.starts.values())


def check(folder: Path, journal: Journal) -> Verdict:
    """Check a run that has been drained.

    Args:
        folder: where its witnesses wrote.
        journal: its database; no process uses it any more.
    """
    history, rows = History(seen(folder)), read_rows(journal)
    verdict = Verdict(damage=rows.damage)
    _check_loss(history, rows, verdict)
    _check_phantoms(history, rows, verdict)
    for token, starts in history.starts.items():
        row = rows.by_token.get(token)
        if row is not None:
            _check_bound(history, starts, row, verdict)
        _check_overlap(history, starts, verdict)
    verdict.unfinished = [f"{row.token} in state {row.state}" for row in rows.all if not row.final]
    verdict.figures = {
        "kills": len(history.killed),
        "acknowledged": len(history.acked),
        "lost": len(verdict.lost),
        "phantoms": len(verdict.phantoms),
        "duplicates": history.duplicates,
    }
    return verdict


def _check_loss(history: History, rows: Rows, verdict: Verdict) -> None:
    """I1: what was acknowledged is in the journal, and has run if it is said to have succeeded."""
    for token in history.acked:
        row = rows.by_token.get(token)
        if row is None or not row.final or row.cancelled:
            verdict.lost.append(token)
        elif row.succeeded and token not in history.starts:
            verdict.lost.append(f"{token} (succeeded, never started)")


def _check_phantoms(history: History, rows: Rows, verdict: Verdict) -> None:
    """I2: nothing runs, or is stored, that nobody asked for, or twice, or against a refusal."""
    stored = [row.token for row in rows.all]
    verdict.phantoms += [token for token in {*history.starts, *stored} if token not in history.intents]
    verdict.phantoms += [f"{token} (refused, and ran)" for token in history.refused & set(history.starts)]
    if len(stored) != len(set(stored)):
        verdict.phantoms.append("some call is stored twice")


def _check_bound(history: History, starts: list[Event], row: Row, verdict: Verdict) -> None:
    """I3: each further start needs a death and a claim of its own, and none comes after the end."""
    deaths = sum(1 for start in starts if history.killed.get(start.pid, 0) >= start.at)
    if len(starts) - 1 > deaths:
        verdict.unbounded.append(f"{row.token}: {len(starts)} starts, {deaths} deaths")
    if len(starts) > row.fence:
        verdict.unbounded.append(f"{row.token}: {len(starts)} starts, {row.fence} claims")
    if row.final and row.finished is not None and starts[-1].at // 1000 > row.finished:
        verdict.unbounded.append(f"{row.token}: started after its end was written")


def _check_overlap(history: History, starts: list[Event], verdict: Verdict) -> None:
    """I4: an attempt has ended, or its process was killed, before the next one starts."""
    for before, after in pairwise(starts):
        over = history.ends.get((before.token, before.pid)) or history.killed.get(before.pid)
        if over is None or over > after.at:
            verdict.overlaps.append(f"{before.token}: in {before.pid} and {after.pid} at once")
