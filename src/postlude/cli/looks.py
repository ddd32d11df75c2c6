"""The commands that look at a journal as a whole: queues, tasks, processes; its health; as it goes on."""

import os
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from postlude.app.finding import find
from postlude.cli.display import console, print_json
from postlude.cli.doctor import Finding, findings
from postlude.cli.doctor_celery import findings_of_brokers
from postlude.cli.exits import Exit, errors_in_one_line
from postlude.cli.journal import reading
from postlude.cli.options import JsonOption, StoreOption
from postlude.cli.panels import CHECK, LOOK
from postlude.cli.tables import moment_of, number_text, queues_table, table, time_text
from postlude.cli.text import escaped, when
from postlude.cli.watch import watch
from postlude.errors import PostludeError
from postlude.model.queues import Queues
from postlude.model.state import State
from postlude.stores.location import DEFAULT_LOCATION


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
        print_json({"queues": [one._asdict() | {"oldest": time_text(one.oldest)} for one in found]})
    else:
        console().print(queues_table(found, datetime.now(UTC)) if found else "Nothing waits or runs.")


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
        [escaped(name), *(number_text(jobs[state]) for state in shown), "paused" if name in paused else ""]
        for name, jobs in sorted(found.items())
    ]
    console().print(table(["task", *map(str, shown), ""], rows) if rows else "No task has jobs.")


def processes(store: StoreOption = DEFAULT_LOCATION, as_json: JsonOption = False) -> None:
    """List the processes that run jobs, as far as can be seen from here."""
    with errors_in_one_line(), reading(store) as journal:
        found = journal.living().wait()
    if as_json:
        told = [
            {
                "kind": str(one.kind), "host": one.host, "pid": one.pid, "since": time_text(one.since),
                "release": one.release or None, "queues": one.queues.text(), "slots": one.slots,
                "holds": one.holds, "deaf": one.deaf,
            }
            for one in found
        ]  # fmt: skip
        print_json({"processes": told})
        return
    rows = [
        [
            str(one.kind), escaped(one.host), str(one.pid), when(moment_of(one.since)), escaped(one.release),
            escaped(_told(one.queues)), "" if one.slots is None else str(one.slots), str(one.holds),
            "" if one.deaf is None else f"deaf for {one.deaf:.0f} s",
        ]
        for one in found
    ]  # fmt: skip
    heads = ["kind", "host", "pid", "since", "release", "queues", "slots", "holds", ""]
    if not any(one.deaf for one in found):
        heads, rows = _without(len(heads) - 1, heads), [_without(len(row) - 1, row) for row in rows]
    if not any(one.release for one in found):  # the application does not say which it is
        place = heads.index("release")
        heads, rows = _without(place, heads), [_without(place, row) for row in rows]
    console().print(table(heads, rows) if rows else "No process runs jobs.")


def _told(queues: Queues) -> str:
    names = ", ".join(sorted(queues.names))
    if queues.every:
        return "all"
    return f"all but {names}" if queues.but else names


def doctor(
    application: Annotated[
        str | None,
        typer.Argument(help="Also look at its brokers and workers of Celery's: main:postlude."),
    ] = None,
    store: StoreOption = DEFAULT_LOCATION,
    app_dir: Annotated[
        Path,
        typer.Option("--app-dir", help="Where modules are looked for first.", exists=True, file_okay=False),
    ] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Look for what keeps jobs from running: in the journal, its files, its processes, and in brokers.

    Exit codes: 0 nothing was found, 1 something was, 2 it could not be looked at.
    """
    try:
        postlude = None if application is None else find(application, os.path.abspath(app_dir))
        with reading(store) as journal:
            found = findings(journal, datetime.now(UTC))
            if postlude is not None:
                queues = postlude.components.queues
                found += findings_of_brokers(journal, queues, datetime.now(UTC))
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


def _print_findings(found: Sequence[Finding]) -> None:
    for one in found:
        typer.echo(escaped(f"{one.code}: {one.says}"))
        typer.echo(escaped(f"  {one.remedy}"))
    if not found:
        typer.echo("Nothing was found.")


def _without(place: int, cells: list[str]) -> list[str]:
    return cells[:place] + cells[place + 1 :]
