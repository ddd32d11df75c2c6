"""The commands that look: each opens a journal, asks it one thing and prints the answer."""

from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated, Final

import typer

from postlude.cli.acts import add_acts
from postlude.cli.add import add_add
from postlude.cli.celery import add_celery
from postlude.cli.check import add_check
from postlude.cli.dashboard import add_dashboard
from postlude.cli.display import console, print_job, print_jobs, print_json
from postlude.cli.exits import errors_in_one_line
from postlude.cli.journal import reading
from postlude.cli.looks import add_doctor, add_looks
from postlude.cli.migrate import add_migrate
from postlude.cli.move import add_move
from postlude.cli.new import add_new
from postlude.cli.options import (
    JsonOption,
    StoreOption,
)
from postlude.cli.panels import LOOK
from postlude.cli.schedules import add_schedules
from postlude.cli.selection import Selection, selecting, with_task
from postlude.cli.text import escaped
from postlude.cli.verify import add_verify
from postlude.cli.worker import add_worker
from postlude.errors import JobNotFound
from postlude.jobs.bulk import MOST
from postlude.jobs.inspector import JobStatus
from postlude.jobs.looks import SEARCHED
from postlude.jobs.naming import whole_id
from postlude.messages.quoting import cut
from postlude.model.job import JobFilter
from postlude.model.state import State
from postlude.stores.location import DEFAULT_LOCATION
from postlude.tasks.names import no_task

app = typer.Typer(
    name="postlude",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

_NOT_KNOWN: Final = frozenset({"max_attempts"})
"""Fields that only the application can tell: left out, rather than said to be nothing."""

_NOT_ON_PAGES: Final = _NOT_KNOWN | {"attempts", "result", "logs"}


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
    """Look at the jobs of an application, and act on them."""


@app.command(rich_help_panel=LOOK)
@selecting
def jobs(
    selection: Selection,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="How many at most.")] = 50,
    before: Annotated[
        int | None, typer.Option(help="Only those before this: `next` of the page before.")
    ] = None,
    search_all: Annotated[
        bool, typer.Option("--search-all", help=f"Look beyond the newest {SEARCHED:,} jobs.")
    ] = False,
    store: StoreOption = DEFAULT_LOCATION,
    as_json: JsonOption = False,
) -> None:
    """List jobs, newest first."""
    with errors_in_one_line():
        wanted = selection.filter(datetime.now(UTC))
        with reading(store) as journal:
            counts = journal.counts().wait()
            tasks = sorted({count.task for count in counts})
            wanted = with_task(wanted, tasks)
            asked = replace(wanted, before=before, limit=limit + 1, within=None if search_all else SEARCHED)
            records = journal.page(asked).wait()
            of_queue = JobFilter(queue=wanted.queue, limit=1, within=asked.within)
            unheard = wanted.queue is not None and not records and not journal.page(of_queue).wait()
    found = [JobStatus.of(record) for record in records[:limit]]
    if as_json:
        # Leave out what a page does not have, rather than say that there is none.
        shown = [job.model_dump(mode="json", exclude=set(_NOT_ON_PAGES)) for job in found]
        print_json({"jobs": shown, "next": found[-1].seq if len(records) > limit else None})
        return
    # The journal keeps a tally of tasks alone, and counting would take as long as it has jobs.
    tallied = wanted.restricts and replace(wanted, states=(), task=None).restricts
    states = wanted.states or tuple(State)
    totals = [
        one for one in counts if not tallied and wanted.task in (None, one.task) and one.state in states
    ]
    print_jobs(console(), found, totals, more=len(records) > limit)
    if wanted.task is not None and wanted.task not in tasks and tasks:
        typer.echo(escaped(f"N{no_task(wanted.task, tasks)[1:]}"))
    if unheard:
        typer.echo(escaped(f"No job has the queue {cut(str(wanted.queue))}"))
    jobs_in_all = sum(one.jobs for one in counts)
    if wanted.restricts and not search_all and jobs_in_all > SEARCHED and len(records) <= limit:
        typer.echo(
            f"The newest {SEARCHED:,} of {jobs_in_all:,} jobs were searched; --search-all looks at all."
        )


@app.command(rich_help_panel=LOOK)
def show(
    id: Annotated[str, typer.Argument(help="The job's id, or how it begins or ends.")],
    store: StoreOption = DEFAULT_LOCATION,
    as_json: JsonOption = False,
) -> None:
    """Show one job: its arguments, its result, its attempts with their tracebacks and log lines."""
    with errors_in_one_line(), reading(store) as journal:
        record = journal.get(whole_id(id, journal)).wait()
        if record is None:
            raise JobNotFound(f"no job has the id {cut(id)}; it may have been pruned")
    job = JobStatus.of(record)
    if as_json:
        print_json(job.model_dump(mode="json", exclude=set(_NOT_KNOWN)))
    else:
        print_job(console(), job)


for add in (
    *(add_looks, add_schedules),
    add_acts,
    *(add_doctor, add_check, add_verify),
    *(add_new, add_add, add_worker, add_celery, add_dashboard, add_migrate, add_move),
):
    add(app)
