"""The command that watches a journal: what waits, runs, ends and fails, as it goes on."""

import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from postlude.cli.display import console, jobs_table
from postlude.cli.exits import errors_in_one_line
from postlude.cli.journal import reading
from postlude.cli.options import JsonOption, StoreOption
from postlude.cli.tables import EPOCH, queues_table, table, time_text, written
from postlude.cli.text import counted, escaped, when
from postlude.jobs.inspector import JobStatus
from postlude.model.failure import FailureGroup
from postlude.model.job import JobFilter
from postlude.model.state import State
from postlude.stores.location import DEFAULT_LOCATION
from postlude.stores.protocol import LivingRunner, Looking, QueueState

_SHOWN: Final = 10
"""Running jobs, and kinds of failures, that `watch` shows."""

_LATELY: Final = timedelta(minutes=10)
"""How long ago the failures were at most that `watch` shows."""

_ENDED: Final = (State.SUCCEEDED, State.FAILED, State.CANCELLED)


def watch(
    every: Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds between looks.")] = 1.0,
    looks: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
    store: StoreOption = DEFAULT_LOCATION,
    as_json: JsonOption = False,
) -> None:
    """Show what waits, runs and has ended, as it goes on, until Ctrl-C; with --json, a line for each look."""
    with errors_in_one_line(), reading(store) as journal:
        before: _Look | None = None
        with Live(console=console(), auto_refresh=False, transient=False) as live:
            for look in range(1, 10**9):
                seen = _Look.at(journal)
                if as_json:
                    live.console.print(json.dumps(seen.told(before, every)), soft_wrap=True)
                elif not live.console.is_terminal:  # nothing can be drawn over there
                    live.console.print(seen.shown(before, every))
                else:
                    live.update(seen.shown(before, every), refresh=True)
                before = seen
                if look == looks:
                    return
                try:
                    time.sleep(every)
                except KeyboardInterrupt:
                    return


class _Look:
    """A journal at one moment."""

    def __init__(
        self,
        counts: Counter[State],
        ended: Counter[State],
        queues: list[QueueState],
        runners: list[LivingRunner],
        running: list[JobStatus],
        failures: list[FailureGroup],
    ) -> None:
        self.time = datetime.now(UTC)
        self._clock = time.monotonic()
        self._counts = counts
        self._ended = ended
        self._queues = queues
        self._runners = runners
        self._running = running
        self._failures = failures

    @classmethod
    def at(cls, journal: Looking) -> "_Look":
        """Look at it."""
        counts, ended = Counter[State](), Counter[State]()
        for count in journal.counts().wait():
            counts[count.state] += count.jobs
        for one in journal.totals().wait():
            for state in _ENDED:
                ended[state] += getattr(one, state)
        running = journal.page(JobFilter(states=(State.RUNNING,), limit=_SHOWN)).wait()
        lately = (datetime.now(UTC) - EPOCH - _LATELY) // timedelta(microseconds=1)
        return cls(
            counts,
            ended,
            journal.queues().wait(),
            journal.living().wait(),
            [JobStatus.of(one) for one in running],
            journal.groups(lately).wait(),
        )

    def _rates(self, before: "_Look | None", seconds: float) -> dict[State, float]:
        """Return how many have ended a second, of those too that were pruned or retried meanwhile."""
        if before is None:
            return {}
        passed = max(seconds, self._clock - before._clock)
        return {state: (self._ended[state] - before._ended[state]) / passed for state in _ENDED}

    def told(self, before: "_Look | None", seconds: float) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "at": written(self.time),
            "jobs": {str(state): self._counts[state] for state in State},
            "ended_per_second": {str(state): rate for state, rate in self._rates(before, seconds).items()},
            "queues": [one._asdict() | {"oldest": time_text(one.oldest)} for one in self._queues],
            "processes": len(self._runners),
            "running": [job.id for job in self._running],
            "failures": [
                {"task": one.task, "kind": one.kind, "place": one.place, "jobs": one.jobs}
                for one in self._failures
            ],
        }

    def shown(self, before: "_Look | None", seconds: float) -> RenderableType:
        """Return it for people."""
        rates = self._rates(before, seconds)
        line = ", ".join(
            f"{self._counts[state]:,} {state}" + (f" (+{rates[state]:.0f}/s)" if rates.get(state) else "")
            for state in State
            if self._counts[state]
        )
        head = Text(
            f"{when(self.time)}  {line or 'no jobs'}; {counted(len(self._runners), 'process', 'processes')}"
        )
        parts: list[RenderableType] = [head]
        if self._queues:
            parts += [Text(""), queues_table(self._queues, self.time)]
        if self._running:
            parts += [Text(""), jobs_table(console(), self._running)]
        if self._failures:
            rows = [
                [escaped(one.task), f"{one.jobs:,}", escaped(one.kind), escaped(one.place)]
                for one in self._failures[:_SHOWN]
            ]
            parts += [Text(""), table(["failed lately", "jobs", "error", "at"], rows)]
        return Group(*parts)
