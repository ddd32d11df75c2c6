"""The commands: each opens a journal, asks it one thing and prints the answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated, Final

import typer

from postlude.cli.display import console, print_job, print_jobs, print_json
from postlude.cli.journal import reading
from postlude.cli.naming import full_name, listed, whole_id
from postlude.cli.text import escaped
from postlude.errors import JobNotFound, PostludeError
from postlude.jobs.inspector import JobStatus
from postlude.messages.quoting import cut
from postlude.model.job import JobFilter
from postlude.model.state import State
from postlude.stores.location import DEFAULT_LOCATION

app = typer.Typer(
    name="postlude",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

StoreOption = Annotated[
    str,
    typer.Option("--store", envvar="POSTLUDE_STORE", help="The journal: its path, or sqlite:///its/path.db."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


MOST: Final = 10_000_000
"""Jobs on one page; a journal holds a tenth of them, unless its application keeps more."""

_NOT_ON_PAGES = {"attempts", "result", "logs"}


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"postlude {version('postlude')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Say which release this is."),
    ] = False,
) -> None:
    """Look at the jobs of an application. Nothing here changes the journal."""


@app.command()
def jobs(
    state: Annotated[
        list[State] | None, typer.Option(help="Only jobs in this state; can be repeated.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Only jobs of this task: its name, or its function's.")
    ] = None,
    queue: Annotated[str | None, typer.Option(help="Only jobs of this queue.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="How many at most.")] = 50,
    store: StoreOption = DEFAULT_LOCATION,
    as_json: JsonOption = False,
) -> None:
    """List jobs, newest first."""
    with _errors_in_one_line(), reading(store) as journal:
        counts = journal.counts().wait()
        tasks = sorted({count.task for count in counts})
        if task is not None:
            task = full_name(task, tasks)
        wanted = JobFilter(states=tuple(state or ()), task=task, queue=queue, limit=limit + 1)
        records = journal.page(wanted).wait()
        found = [JobStatus.of(record) for record in records[:limit]]
        # The journal keeps no tally by queue, and counting would take as long as it has jobs.
        totals = [one for one in counts if queue is None and task in (None, one.task)]
    if as_json:
        # Leave out what a page does not have, rather than say that there is none.
        print_json([job.model_dump(mode="json", exclude=_NOT_ON_PAGES) for job in found])
    else:
        print_jobs(console(), found, totals, more=len(records) > limit)
        if task is not None and task not in tasks and tasks:
            typer.echo(escaped(f"No task called {cut(task)} has any; these have: {listed(tasks)}"))


@app.command()
def show(
    id: Annotated[str, typer.Argument(help="The job's id, or how it begins.")],
    store: StoreOption = DEFAULT_LOCATION,
    as_json: JsonOption = False,
) -> None:
    """Show one job: its arguments, its result, its attempts with their tracebacks and log lines."""
    with _errors_in_one_line(), reading(store) as journal:
        record = journal.get(whole_id(id, lambda digits: journal.ids_beginning(digits).wait())).wait()
        if record is None:
            raise JobNotFound(f"no job has the id {cut(id)}; it may have been pruned")
    job = JobStatus.of(record)
    if as_json:
        print_json(job.model_dump(mode="json"))
    else:
        print_job(console(), job)


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    try:
        yield
    except PostludeError as error:
        typer.echo(f"postlude: {escaped(str(error))}", err=True)
        raise typer.Exit(1) from error
