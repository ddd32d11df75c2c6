"""The commands about schedules: which there are, and to pause, resume and run one."""

from dataclasses import asdict
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.table import Table
from rich.text import Text

from postlude.cli.answering import deed
from postlude.cli.display import console, print_json
from postlude.cli.exits import Refused, errors_in_one_line
from postlude.cli.journal import acting, reading
from postlude.cli.options import JsonOption, StoreOption
from postlude.cli.panels import LOOK
from postlude.cli.text import escaped, when
from postlude.errors import ScheduleNotFound
from postlude.jobs.naming import full_name
from postlude.jobs.schedules import PastTime, ScheduleStatus, not_found
from postlude.messages.quoting import cut
from postlude.model.ids import IdSource, id_text
from postlude.stores.location import DEFAULT_LOCATION
from postlude.stores.protocol import Store
from postlude.stores.values import Deed

app = typer.Typer(
    invoke_without_command=True,
    help="List the schedules, or pause, resume or run one.",
    rich_markup_mode="rich",
)

NameArgument = Annotated[str, typer.Argument(help="The schedule: its name, or its function's.")]


def add_schedules(to: typer.Typer) -> None:
    """Add the commands."""
    to.add_typer(app, name="schedules", rich_help_panel=LOOK)


@app.callback()
def schedules(
    context: typer.Context, store: StoreOption = DEFAULT_LOCATION, as_json: JsonOption = False
) -> None:
    """List the schedules, with their next and last due times; or pause, resume or run one."""
    if context.invoked_subcommand is not None:
        return
    with errors_in_one_line(), reading(store) as journal:
        found = [ScheduleStatus.of(record) for record in journal.schedules().wait()]
    if as_json:
        print_json({"schedules": [_json(one) for one in found]})
    elif found:
        console().print(_table(found))
    else:
        typer.echo(
            "No schedules are in force: an application that has some (@postlude.cron, @postlude.every) "
            "declares them when it starts."
        )


@app.command()
def pause(name: NameArgument, store: StoreOption = DEFAULT_LOCATION) -> None:
    """Add no jobs of a schedule until it is resumed, over restarts and deploys."""
    with errors_in_one_line(), acting(store) as journal:
        meant = _meant(journal, name)
        if not journal.pause_schedule(meant, by=_deed("pause", meant)).wait():
            raise Refused(f"schedule {cut(meant)} is paused already")
        typer.echo(escaped(f"schedule {cut(meant)} is paused"))


@app.command()
def resume(name: NameArgument, store: StoreOption = DEFAULT_LOCATION) -> None:
    """Let a paused schedule go on, with its next due time."""
    with errors_in_one_line(), acting(store) as journal:
        meant = _meant(journal, name)
        if not journal.resume_schedule(meant, by=_deed("resume", meant)).wait():
            raise Refused(f"schedule {cut(meant)} is not paused")
        typer.echo(escaped(f"schedule {cut(meant)} goes on"))


@app.command()
def run(name: NameArgument, store: StoreOption = DEFAULT_LOCATION, as_json: JsonOption = False) -> None:
    """Add a job of a schedule now; its due times stay as they are."""
    with errors_in_one_line(), acting(store) as journal:
        meant = _meant(journal, name)
        id = IdSource().new(journal.now())
        added = journal.run_schedule(meant, id, by=_deed("run", meant)).wait()
        if added is None:
            raise ScheduleNotFound(f"schedule {cut(meant)} is not in force any more")
    if as_json:
        print_json({"job": id_text(id), "joined": added.joined})
    elif added.joined:
        typer.echo(f"another job has its key, and stands for this one: {id_text(id)}")
    else:
        typer.echo(f"added: {id_text(id)}")


def _deed(act: str, name: str) -> Deed:
    return deed(act, f"schedule {name}")


def _meant(journal: Store, typed: str) -> str:
    records = journal.schedules().wait()
    names = [record.schedule.name for record in records]
    name = full_name(typed, names)
    if name not in names:
        raise not_found(typed, records)
    return name


def _json(one: ScheduleStatus) -> dict[str, object]:
    last = None if one.last is None else asdict(one.last) | {"due": one.last.due.isoformat()}
    times = {
        key: None if at is None else at.isoformat()
        for key, at in (("next", one.next), ("paused", one.paused))
    }
    return asdict(one) | times | {"last": last}


def _table(found: list[ScheduleStatus]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("schedule", "rule", "next", "last", ""):
        table.add_column(column, overflow="fold", no_wrap=column in ("next", "last"))
    for one in found:
        rule = one.rule if one.timezone == "UTC" else f"{one.rule} ({one.timezone})"
        paused = "" if one.paused is None else f"paused since {when(one.paused)}"
        cells = (one.name, rule, _next(one), _last(one.last), paused)
        table.add_row(*(Text(escaped(cell)) for cell in cells))
    return table


def _next(one: ScheduleStatus) -> str:
    if one.next is None:
        return "-"
    if one.timezone == "UTC":
        return when(one.next)
    try:
        return f"{one.next.astimezone(ZoneInfo(one.timezone)):%Y-%m-%d %H:%M:%S %Z}"
    except (KeyError, ValueError, OSError):  # this machine does not know it
        return when(one.next)


def _last(last: PastTime | None) -> str:
    if last is None:
        return "-"
    how = "missed, or its key was taken" if not last.ran else str(last.state or "pruned")
    return f"{when(last.due)} {how}"
