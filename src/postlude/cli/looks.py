"""The commands that look at a journal as a whole: queues, tasks, processes; its health; as it goes on."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from postlude.cli.display import console, jobs_table, print_json
from postlude.cli.doctor import Finding, findings
from postlude.cli.exits import Exit, errors_in_one_line
from postlude.cli.journal import reading
from postlude.cli.options import JsonOption, StoreOption
from postlude.cli.panels import CHECK, LOOK
from postlude.cli.text import counted, escaped, when
from postlude.errors import PostludeError
from postlude.jobs.inspector import JobStatus
from postlude.model.job import JobFilter
from postlude.model.queues import Queues
from postlude.model.state import State
from postlude.stores.location import DEFAULT_LOCATION
from postlude.stores.protocol import LivingRunner, Looking, QueueState

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN: Final = 10
"""Running jobs that `watch` shows."""

_ENDED: Final = (State.SUCCEEDED, State.FAILED, State.CANCELLED)


def add_looks(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (queues, tasks, processes, watch):
        app.command(rich_help_panel=LOOK)(command)


def add_doctor(app: typer.Typer) -> None:
    """Add the command that looks for what is wrong."""
    app.command(rich_help_panel=CHECK)(doctor)


def queues(store: StoreOption = DEFAULT_LOCATION, as_json: JsonOption = False) -> None:
    """List the queues in which something waits or runs, or that are paused."""
    with errors_in_one_line(), reading(store) as journal:
        found = journal.queues().wait()
    if as_json:
        print_json({"queues": [one._asdict() | {"oldest": _time(one.oldest)} for one in found]})
    else:
        console().print(_queues_table(found, datetime.now(UTC)) if found else "Nothing waits or runs.")


def tasks(store: StoreOption = DEFAULT_LOCATION, as_json: JsonOption = False) -> None:
    """List the tasks that have jobs, with how many are in each state."""
    with errors_in_one_line(), reading(store) as journal:
        counts = journal.counts().wait()
        paused = {one.name for one in journal.paused().wait() if one.kind == "task"}
    found: dict[str, Counter[State]] = {}
    for count in counts:
        found.setdefault(count.task, Counter())[count.state] += count.jobs
    if as_json:
        print_json(
            {
                "tasks": [
                    {"name": name, "paused": name in paused, **{str(state): jobs[state] for state in State}}
                    for name, jobs in sorted(found.items())
                ]
            }
        )
        return
    shown = [state for state in State if any(jobs[state] for jobs in found.values())]
    rows = [
        [escaped(name), *(_number(jobs[state]) for state in shown), "paused" if name in paused else ""]
        for name, jobs in sorted(found.items())
    ]
    console().print(_table(["task", *map(str, shown), ""], rows) if rows else "No task has jobs.")


def processes(store: StoreOption = DEFAULT_LOCATION, as_json: JsonOption = False) -> None:
    """List the processes that run jobs, as far as can be seen from here."""
    with errors_in_one_line(), reading(store) as journal:
        found = journal.living().wait()
    if as_json:
        told = [
            {
                "kind": str(one.kind), "host": one.host, "pid": one.pid, "since": _time(one.since),
                "release": one.release or None, "queues": one.queues.text(), "slots": one.slots,
                "holds": one.holds,
            }
            for one in found
        ]  # fmt: skip
        print_json({"processes": told})
        return
    rows = [
        [
            str(one.kind), escaped(one.host), str(one.pid), when(_moment(one.since)), escaped(one.release),
            escaped(_told(one.queues)), "" if one.slots is None else str(one.slots), str(one.holds),
        ]
        for one in found
    ]  # fmt: skip
    heads = ["kind", "host", "pid", "since", "release", "queues", "slots", "holds"]
    if not any(one.release for one in found):  # the application does not say which it is
        place = heads.index("release")
        heads, rows = _without(place, heads), [_without(place, row) for row in rows]
    console().print(_table(heads, rows) if rows else "No process runs jobs.")


def _told(queues: Queues) -> str:
    names = ", ".join(sorted(queues.names))
    if queues.every:
        return "all"
    return f"all but {names}" if queues.but else names


def doctor(store: StoreOption = DEFAULT_LOCATION, as_json: JsonOption = False) -> None:
    """Look for what keeps jobs from running: in the journal, its files and its processes.

    Exit codes: 0 nothing was found, 1 something was, 2 it could not be looked at.
    """
    try:
        with reading(store) as journal:
            found = findings(journal, datetime.now(UTC))
    except PostludeError as error:
        typer.echo(f"postlude: {escaped(str(error))}", err=True)
        raise typer.Exit(2) from error
    if as_json:
        print_json(
            {"findings": [{"code": one.code, "says": one.says, "remedy": one.remedy} for one in found]}
        )
    else:
        _print_findings(found)
    raise typer.Exit(Exit.FAILED if found else Exit.DONE)


def watch(
    every: Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds between looks.")] = 1.0,
    looks: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
    store: StoreOption = DEFAULT_LOCATION,
    as_json: JsonOption = False,
) -> None:
    """Show what waits, runs and has ended, as it goes on, until Ctrl-C; with --json, a line for each look."""
    with errors_in_one_line(), reading(store) as journal:
        before: Counter[State] | None = None
        with Live(console=console(), auto_refresh=False, transient=False) as live:
            for look in range(1, 10**9):
                seen = _Look.at(journal)
                if as_json:
                    live.console.print(json.dumps(seen.told(before, every)), soft_wrap=True)
                elif not live.console.is_terminal:  # nothing can be drawn over there
                    live.console.print(seen.shown(before, every))
                else:
                    live.update(seen.shown(before, every), refresh=True)
                before = seen.counts
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
        queues: list[QueueState],
        runners: list[LivingRunner],
        running: list[JobStatus],
    ) -> None:
        self.time = datetime.now(UTC)
        self.counts = counts
        self._queues = queues
        self._runners = runners
        self._running = running

    @classmethod
    def at(cls, journal: Looking) -> "_Look":
        """Look at it."""
        counts: Counter[State] = Counter()
        for count in journal.counts().wait():
            counts[count.state] += count.jobs
        running = journal.page(JobFilter(states=(State.RUNNING,), limit=_SHOWN)).wait()
        return cls(
            counts, journal.queues().wait(), journal.living().wait(), [JobStatus.of(one) for one in running]
        )

    def _rates(self, before: Counter[State] | None, seconds: float) -> dict[State, float]:
        """Return how many have ended a second; what was pruned meanwhile does not count below nothing."""
        if before is None:
            return {}
        return {state: max(0.0, (self.counts[state] - before[state]) / seconds) for state in _ENDED}

    def told(self, before: Counter[State] | None, seconds: float) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "at": _written(self.time),
            "jobs": {str(state): self.counts[state] for state in State},
            "ended_per_second": {str(state): rate for state, rate in self._rates(before, seconds).items()},
            "queues": [one._asdict() | {"oldest": _time(one.oldest)} for one in self._queues],
            "processes": len(self._runners),
            "running": [job.id for job in self._running],
        }

    def shown(self, before: Counter[State] | None, seconds: float) -> RenderableType:
        """Return it for people."""
        rates = self._rates(before, seconds)
        line = ", ".join(
            f"{self.counts[state]:,} {state}" + (f" (+{rates[state]:.0f}/s)" if rates.get(state) else "")
            for state in State
            if self.counts[state]
        )
        head = Text(
            f"{when(self.time)}  {line or 'no jobs'}; {counted(len(self._runners), 'process', 'processes')}"
        )
        parts: list[RenderableType] = [head]
        if self._queues:
            parts += [Text(""), _queues_table(self._queues, self.time)]
        if self._running:
            parts += [Text(""), jobs_table(console(), self._running)]
        return Group(*parts)


def _print_findings(found: Sequence[Finding]) -> None:
    for one in found:
        typer.echo(escaped(f"{one.code}: {one.says}"))
        typer.echo(escaped(f"  {one.remedy}"))
    if not found:
        typer.echo("Nothing was found.")


def _queues_table(found: Sequence[QueueState], now: datetime) -> Table:
    rows = [
        [
            escaped(one.name), "paused" if one.paused else "",
            *map(_number, (one.ready, one.scheduled, one.blocked, one.running, one.parked)),
            "" if one.oldest is None else _age(now - _EPOCH - timedelta(microseconds=one.oldest)),
        ]
        for one in found
    ]  # fmt: skip
    return _table(["queue", "", "ready", "scheduled", "blocked", "running", "parked", "oldest"], rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for place, head in enumerate(heads):
        table.add_column(head, no_wrap=True, overflow="fold" if place == 0 else "ellipsis")
    for row in rows:
        table.add_row(*row)
    return table


def _without(place: int, cells: list[str]) -> list[str]:
    return cells[:place] + cells[place + 1 :]


def _number(number: int) -> str:
    return f"{number:,}" if number else ""


def _age(age: timedelta) -> str:
    seconds = max(0, round(age.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _moment(microseconds: int) -> datetime | None:
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:  # it is damaged
        return None


def _time(microseconds: int | None) -> str | None:
    found = None if microseconds is None else _moment(microseconds)
    return None if found is None else _written(found)


def _written(time: datetime) -> str:
    """Write a time (UTC) as it stands in all JSON that is printed: of jobs, Pydantic writes it."""
    return time.isoformat().replace("+00:00", "Z")
