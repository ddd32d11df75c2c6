"""What one group looks at of the ready jobs: from the marks on, and moving them when it is committed."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final

from pydantic_core import to_json

from postlude.stores.postgres.places import WHOLE, Places, Seen

Execute = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
"""Runs a statement by its name; returns its rows."""

DRAWN_FROM: Final = {
    **dict.fromkeys(("release", "bury_all", "replace_job", "retry_all", "withdraw"), "drawn_from_behind"),
    **dict.fromkeys(
        ("set_bounds", "drop_bounds", "pause", "resume", "use_rate", "add_task_name"), "drawn_from_ruled"
    ),
}
"""Statements by which jobs may be ready at places that were passed, and those by which what was read of
bounds and pauses holds no more; and the one that lets all processes know when they have their turn."""


class Passing:
    """The looks of one group.

    Args:
        places: the marks.
        execute: runs statements.
    """

    __slots__ = ("_execute", "_places", "_seen", "_spent", "_suspects", "_taken", "_whole")

    def __init__(self, places: Places, execute: Execute) -> None:
        self._places = places
        self._execute = execute
        self._seen: defaultdict[str, list[Seen]] = defaultdict(list)
        """Ready jobs that were looked at, by queue, in order."""
        self._whole: set[str] = set()
        """Queues of which all that is ready was looked at."""
        self._suspects: set[str] | None = None
        """Queues that have suspects; None: it is not known."""
        self._taken: list[str] = []
        """What was claimed, as JSON."""
        self._spent: float | None = None
        """Seconds that its looks have taken, if they begin at the start."""

    def ready_queues(self, runner: int) -> str | None:
        """Return the queues in which something is ready, as JSON; None: there is no such runner."""
        places, began = self._places, monotonic()
        if places.sweep():
            self._spent = 0.0
        known = list(places.queues)
        columns: tuple[list[Any], ...] = ([], [], [], [])
        for queue in known:
            stretches = places.stretches(queue)
            columns[0].extend([queue] * len(stretches.first))
            for column, values in zip(columns[1:], stretches, strict=True):
                column.extend(values)
        ((lives, queues, suspects, others),) = self._execute("ready_queues", [runner, known, *columns])
        self._suspects = None if others else set(suspects)
        queues = {*queues, *suspects}
        if others:  # once for each queue
            queues.update(queue for (queue,) in self._execute("all_ready_queues", ()))
        places.know(queues)
        self._spend(began)
        return to_json(sorted(queues)).decode() if lives else None

    def may_be_born_claimed(self, runner: int, queue: str) -> str | None:
        """Return a living runner's queues as text, if nothing is ready in this one and nothing is paused."""
        stretches = self._places.stretches(queue)
        ((is_empty, queues),) = self._execute("may_be_born_claimed", [runner, queue, *stretches])
        if is_empty:
            self._places.empty(queue)
        return queues if is_empty else None

    def ready(self, queue: str, suspect: int, most: int, offset: int) -> list[tuple[Any, ...]]:
        """Return the next ready jobs of a queue, with their arguments as bytes."""
        if suspect and self._suspects is not None and queue not in self._suspects:
            return []
        began = monotonic()
        stretches = WHOLE if suspect else self._places.stretches(queue)
        found = self._execute("ready", [queue, suspect, most, offset, most + offset, *stretches])
        if not suspect:
            self._seen[queue] += [Seen(row[0], *row[-2:]) for row in found]
            if len(found) < most:
                self._whole.add(queue)
        self._spend(began)
        return [row[:-2] for row in found]

    def ready_but(self, none: str, queue: str, suspect: int, most: int, offset: int) -> list[tuple[Any, ...]]:
        """Return the same, without the jobs of some tasks: so it is not known what lies between them."""
        stretches = WHOLE if suspect else self._places.stretches(queue)
        found = self._execute("ready_but", [none, queue, suspect, most, offset, *stretches])
        return [row[:-2] for row in found]

    def forget(self) -> None:
        """Jobs of this group may be ready at places that were passed; others hear of it with their turns."""
        self._places.forget()

    def take(self, seqs: str) -> None:
        """These were claimed."""
        self._taken.append(seqs)

    def settle(self) -> None:
        """All that was looked at, and claimed, is committed."""
        taken = {seq for seqs in self._taken for seq in json.loads(seqs)}
        for queue, seen in self._seen.items():
            self._places.passed(queue, seen, taken, whole=queue in self._whole)
        if self._spent is not None:
            self._places.swept(self._spent)

    def _spend(self, began: float) -> None:
        if self._spent is not None:
            self._spent += monotonic() - began
