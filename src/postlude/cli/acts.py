"""The commands that act: on jobs, by the same filter as `jobs`; on queues and tasks."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import typer

from postlude.cli.acting import carry_out
from postlude.cli.answering import deed
from postlude.cli.display import print_json
from postlude.cli.exits import Refused, Usage, errors_in_one_line
from postlude.cli.journal import acting
from postlude.cli.options import (
    AllOption,
    DryRunOption,
    IdsArgument,
    JsonOption,
    StoreOption,
    YesOption,
)
from postlude.cli.panels import ACT
from postlude.cli.prune import prune
from postlude.cli.selection import Selection, by_ids, selecting, with_task
from postlude.cli.text import escaped
from postlude.errors import JobNotFound
from postlude.jobs.bulk import MOST, Act, Cancelling, Deleting, Retrying
from postlude.jobs.naming import full_name
from postlude.jobs.plan import Plan
from postlude.messages.quoting import cut
from postlude.model.job import Found, JobFilter
from postlude.stores.location import DEFAULT_LOCATION
from postlude.stores.protocol import Pause, Store
from postlude.tasks.names import no_task


def add_acts(app: typer.Typer) -> None:
    """Add the commands that act."""
    for act, about in (
        (Retrying(), "Run jobs again that have failed or were cancelled."),
        (Cancelling(), "Cancel jobs: those that wait at once; those that run are asked to stop."),
        (Deleting(), "Delete jobs that have ended, with all that is known of them."),
    ):
        app.command(act.verb, help=about, rich_help_panel=ACT)(_on_jobs(act))
    for command in (prune, pause, resume):
        app.command(rich_help_panel=ACT)(command)


def _on_jobs(act: Act) -> Callable[..., None]:
    @selecting
    def command(
        selection: Selection,
        ids: IdsArgument = None,
        everything: AllOption = False,
        limit: Annotated[int, typer.Option(min=1, max=MOST, help="How many at most, newest first.")] = MOST,
        dry_run: DryRunOption = False,
        yes: YesOption = False,
        store: StoreOption = DEFAULT_LOCATION,
        as_json: JsonOption = False,
    ) -> None:
        with errors_in_one_line():
            wanted = selection.filter(datetime.now(UTC))
            if not (ids or wanted.restricts or everything):
                raise Usage("say which jobs: by their ids, by a filter such as --state failed, or --all")
            if ids and wanted.restricts:
                raise Usage("give ids, or a filter: not both")
            with acting(store) as journal:
                found = by_ids(journal, ids) if ids else _matching(journal, act, wanted, limit)
                done = carry_out(
                    Plan.of(act, found),
                    journal,
                    meant=" ".join([*(ids or ()), *selection.words()]) or "--all",
                    dry_run=dry_run,
                    yes=yes,
                    say=lambda line: typer.echo(line, err=as_json),  # JSON is alone on standard output
                )
        if as_json:
            print_json(done)

    return command


def _matching(journal: Store, act: Act, wanted: JobFilter, limit: int) -> Sequence[Found]:
    tasks = sorted({count.task for count in journal.counts().wait()})
    wanted = with_task(wanted, tasks)
    if not wanted.states:  # who says nothing of states means those that the act is for
        wanted = replace(wanted, states=tuple(sorted(act.states)))
    found = journal.find(replace(wanted, limit=limit)).wait()
    if not found and wanted.task is not None and wanted.task not in tasks and tasks:
        raise JobNotFound(no_task(wanted.task, tasks))
    return found


QueueArgument = Annotated[str | None, typer.Option("--queue", help="A queue.")]
TaskArgument = Annotated[str | None, typer.Option("--task", help="A task: its name, or its function's.")]


def pause(
    queue: QueueArgument = None,
    task: TaskArgument = None,
    store: StoreOption = DEFAULT_LOCATION,
) -> None:
    """Let no job of a queue, or of a task, start until it is resumed; what runs goes on."""
    with errors_in_one_line(), acting(store) as journal:
        what = _meant(journal, queue, task)
        if not journal.pause(what, by=deed("pause", f"--{what.kind} {what.name}")).wait():
            raise Refused(f"{what.kind} {cut(what.name)} is paused already")
        typer.echo(escaped(f"{what.kind} {cut(what.name)} is paused"))


def resume(
    queue: QueueArgument = None,
    task: TaskArgument = None,
    store: StoreOption = DEFAULT_LOCATION,
) -> None:
    """Let jobs of a paused queue, or of a paused task, start again."""
    with errors_in_one_line(), acting(store) as journal:
        paused = journal.paused().wait()
        names = [each.name for each in paused if each.kind == "task"]
        what = _one(queue, task if task is None else full_name(task, names))
        if not journal.resume(what, by=deed("resume", f"--{what.kind} {what.name}")).wait():
            told = ", ".join(f"{each.kind} {cut(each.name)}" for each in paused) or "nothing"
            raise Refused(f"{what.kind} {cut(what.name)} is not paused; paused is: {told}")
        typer.echo(escaped(f"{what.kind} {cut(what.name)} goes on"))


def _meant(journal: Store, queue: str | None, task: str | None) -> Pause:
    """Return what is to be paused, if some job has it: a slip of the pen would stop nothing, unsaid."""
    what = _one(queue, task)
    if what.kind == "task":
        tasks = sorted({count.task for count in journal.counts().wait()})
        name = full_name(what.name, tasks)
        if name not in tasks:
            raise JobNotFound(no_task(name, tasks))
        return Pause("task", name)
    if not journal.page(JobFilter(queue=what.name, limit=1)).wait():
        raise JobNotFound(f"no job has the queue {cut(what.name)}")
    return what


def _one(queue: str | None, task: str | None) -> Pause:
    if (queue is None) == (task is None):
        raise Usage("say what is meant: --queue mail, or --task send_receipt")
    return Pause("queue", queue) if queue is not None else Pause("task", task or "")
