"""What several commands show alike: tables, numbers, ages and times."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from rich.table import Table

from postlude.cli.text import escaped
from postlude.stores.protocol import QueueState

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def queues_table(found: Sequence[QueueState], now: datetime) -> Table:
    """Show queues."""
    rows = [
        [
            escaped(one.name), "paused" if one.paused else "",
            *map(number_text, (one.ready, one.scheduled, one.blocked, one.running, one.parked)),
            "" if one.oldest is None else _age(now - EPOCH - timedelta(microseconds=one.oldest)),
        ]
        for one in found
    ]  # fmt: skip
    return table(["queue", "", "ready", "scheduled", "blocked", "running", "parked", "oldest"], rows)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Show rows, each cell in its column; the first is shown whole."""
    made = Table(box=None, pad_edge=False)
    for place, head in enumerate(heads):
        made.add_column(head, no_wrap=True, overflow="fold" if place == 0 else "ellipsis")
    for row in rows:
        made.add_row(*row)
    return made


def number_text(number: int) -> str:
    """Write a number; nothing for none."""
    return f"{number:,}" if number else ""


def _age(age: timedelta) -> str:
    seconds = max(0, round(age.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def moment_of(microseconds: int) -> datetime | None:
    """Return a time of the journal as a date; None: it is damaged."""
    try:
        return EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:  # it is damaged
        return None


def time_text(microseconds: int | None) -> str | None:
    """Write a time of the journal as it stands in JSON; None: none, or it is damaged."""
    found = None if microseconds is None else moment_of(microseconds)
    return None if found is None else written(found)


def written(time: datetime) -> str:
    """Write a time (UTC) as it stands in all JSON that is printed: of jobs, Pydantic writes it."""
    return time.isoformat().replace("+00:00", "Z")
