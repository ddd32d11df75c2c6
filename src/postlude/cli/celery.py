"""The command that runs Celery's worker for an application: `postlude celery worker`."""

import asyncio
import os
import sys
import time
import traceback
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, Final

import typer

from postlude.app.finding import NoApplication, find
from postlude.app.postlude import Postlude
from postlude.app.runnable import checked
from postlude.cli.application import meant
from postlude.cli.exits import Usage, errors_in_one_line
from postlude.cli.options import ApplicationArgument
from postlude.cli.panels import SET_UP
from postlude.cli.worker import address_of
from postlude.messages.quoting import quoted
from postlude.worker.health import HealthServer, Healthy, keep_file

POOLS: Final = ("prefork", "threads", "solo")

BROKEN_OFF: Final = 1
"""The exit code that Celery's worker has, as it shuts down, when an error has ended it."""

DEAF_AFTER: Final = 60.0
"""Seconds of deafness after which a worker begins anew: Celery's own reconnects take up to 32."""

KILL_AFTER: Final = 30.0
"""Seconds beyond its grace after which a deaf worker is killed that does not end."""

SHORTEST: Final = 1.0
LONGEST: Final = 30.0
"""Seconds until it is started afresh: the first pause, and the longest."""

GOOD_AFTER: Final = 60.0
"""Seconds after which a worker that breaks off is one that had worked."""

PAUSED: Final = "POSTLUDE_CELERY_PAUSED"
"""The variable by which a worker tells the one that takes its place how long it has paused."""

group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def add_celery(app: typer.Typer) -> None:
    """Add the command."""
    app.add_typer(
        group, name="celery", help="Celery's workers, for queues of CeleryEngine.", rich_help_panel=SET_UP
    )


@group.callback()
def _group() -> None:
    """Celery's workers, for queues of CeleryEngine."""


@group.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def worker(
    context: typer.Context,
    application: ApplicationArgument = None,
    queues: Annotated[
        list[str] | None, typer.Option("--queues", help="Only these: mail,reports; can be repeated.")
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", min=1, help="Processes, or threads; otherwise one for each processor."),
    ] = None,
    pool: Annotated[str, typer.Option("--pool", help="prefork, threads or solo.")] = "prefork",
    grace: Annotated[
        float | None,
        typer.Option("--grace", min=0, help="Seconds that its end waits for jobs; otherwise as Config says."),
    ] = None,
    deaf_after: Annotated[
        float,
        typer.Option(
            "--deaf-after",
            min=0,
            help="Seconds without a message, while the broker has some, until it begins anew; 0: never.",
        ),
    ] = DEAF_AFTER,
    health: Annotated[
        str | None,
        typer.Option("--health", help="Answer GET /live and /ready there: 8080, or 127.0.0.1:8080."),
    ] = None,
    health_file: Annotated[
        Path | None,
        typer.Option("--health-file", help="Write it every few seconds while jobs are run."),
    ] = None,
    app_dir: Annotated[
        Path,
        typer.Option("--app-dir", help="Where modules are looked for first.", exists=True, file_okay=False),
    ] = Path(),
) -> None:
    """Run the jobs of queues that CeleryEngine runs, in a worker of Celery's.

    The application's lifespan runs in each of its processes. What else is written goes to `celery worker`:
    --max-tasks-per-child=1000, --loglevel=INFO. SIGTERM and Ctrl-C let running jobs end within the grace
    period, and give back the others; a second one ends at once. If Celery's worker breaks off by an error, or
    what its broker has for it does not reach it any more, it is started afresh.
    """
    with errors_in_one_line():
        if pool not in POOLS:
            raise Usage(f"--pool {quoted(pool)}: give {', '.join(POOLS)}")
        # Before Celery is imported: its processes then ignore SIGTERM, which systemd sends to all of them.
        os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")
        if application is not None and application.startswith("-"):  # it is Celery's
            context.args.insert(0, application)
            application = None
        try:
            postlude = checked(find(meant(application, "celery worker"), os.path.abspath(app_dir)))
        except NoApplication as error:
            raise Usage(str(error)) from error
        celery, names = _chosen(postlude, queues or [])
        patience = postlude.config.grace if grace is None else grace
        begun = monotonic()
        workers = _watched(celery, deaf_after or None, patience, health, health_file, begun)
        arguments = ["worker", "--queues", ",".join(names), "--pool", pool, "--loglevel", "WARNING"]
        arguments += ["--hostname", f"postlude-{os.getpid()}@%h", "--without-gossip", "--without-mingle"]
        if concurrency is not None:
            arguments += ["--concurrency", str(concurrency)]
    told_to = run_to_its_end(celery, [*arguments, *context.args])
    workers.dismiss()
    if not told_to or workers.was_deaf:
        start_afresh(monotonic() - begun)
    sys.exit(0 if told_to else BROKEN_OFF)


def run_to_its_end(celery: Any, arguments: list[str]) -> bool:
    """Run a worker of Celery's; returns whether it has ended since it was told to.

    `worker_main` returns nothing, also after an error: it is asked for its exit code as it shuts down.
    """
    from celery.exceptions import ImproperlyConfigured
    from celery.signals import worker_shutdown, worker_shutting_down

    codes: list[int | None] = []
    told: list[str] = []

    def note(sender: Any, **_: Any) -> None:
        codes.append(sender.exitcode)

    def hear(sig: str, **_: Any) -> None:
        told.append(sig)

    worker_shutdown.connect(note)
    worker_shutting_down.connect(hear)
    try:
        celery.worker_main(arguments)
    except ImproperlyConfigured as error:  # which the same command meets again
        with errors_in_one_line():
            raise Usage(f"Celery's settings: {' '.join(str(error).split())}") from error
    except Exception:  # what has ended it meets it again while it shuts down
        traceback.print_exc()
        return bool(told)  # told to end before it takes messages, Celery meets errors of its own
    # By Ctrl-C its processes are told too; that they have gone is an error to Celery.
    return bool(told) or BROKEN_OFF not in codes


def _watched(
    celery: Any,
    deaf_after: float | None,
    grace: float,
    health: str | None,
    health_file: Path | None,
    begun: float,
) -> Any:
    """Say how the worker is looked after; returns what looks after it.

    Raises:
        PostludeError: the place for its health is taken.
    """
    from postlude.engines.celery.ending import WorkerEnd
    from postlude.engines.celery.keeper import Ending
    from postlude.engines.celery.worker import Workers

    workers = Workers.of(celery)

    def end() -> None:
        """Celery does not."""
        workers.dismiss()
        if workers.was_deaf:
            start_afresh(monotonic() - begun)
        os._exit(0)

    workers.end = WorkerEnd(grace, end)
    workers.ending = Ending(deaf_after, grace + KILL_AFTER)
    beside: list[Any] = []
    if health is not None:
        host, port = address_of(health)
        HealthServer(_Nothing(), host, port).close()  # an error now, and not in another process
        beside.append(partial(_answer, host=host, port=port))
    if health_file is not None:
        beside.append(partial(keep_file, path=health_file))
    workers.beside = beside
    return workers


class _Nothing:
    """The health of a worker that has not begun."""

    ready = False

    def told(self) -> dict[str, Any]:
        return {"live": True, "ready": False}


async def _answer(health: Healthy, host: str, port: int) -> None:
    """Answer over HTTP; until cancelled."""
    server = HealthServer(health, host, port)
    try:
        await asyncio.Event().wait()
    finally:
        server.close()


def start_afresh(ran: float) -> None:
    """Take this process's place by the same command, after a pause that doubles while it breaks off early.

    Celery ends when it meets an error that it has not foreseen, as in a reconnect to a broker that has come
    back: the jobs of the queue would wait until somebody starts the worker again.

    Args:
        ran: for how many seconds it did.
    """
    before = 0.0 if ran >= GOOD_AFTER else float(os.environ.get(PAUSED, "0"))
    pause = min(max(SHORTEST, 2 * before), LONGEST)
    typer.echo(f"postlude celery worker: it has broken off, and is started afresh in {pause:g} s", err=True)
    time.sleep(pause)
    os.environ[PAUSED] = str(pause)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _chosen(postlude: Postlude, given: list[str]) -> tuple[Any, list[str]]:
    """Return the application of Celery's whose worker is to run, and the queues.

    Raises:
        Usage: no queue is meant, or queues of several brokers.
    """
    try:
        from postlude.engines.celery import CeleryEngine
    except ImportError as error:
        raise Usage("Celery is not installed: pip install 'postlude[celery]'") from error
    engines = {name: one for name, one in postlude.components.queues.items() if isinstance(one, CeleryEngine)}
    if not engines:
        raise Usage('no queue of it is run by CeleryEngine: Postlude(queues={"reports": CeleryEngine(...)})')
    names = [name.strip() for text in given for name in text.split(",")] or sorted(engines)
    for name in names:
        if name not in engines:
            raise Usage(
                f"--queues {name}: that is no queue of CeleryEngine; there are: {', '.join(sorted(engines))}"
            )
    apps = {id(engines[name].app): engines[name].app for name in names}
    if len(apps) > 1:
        raise Usage(f"{', '.join(names)} have brokers of their own: start a worker for each, with --queues")
    return next(iter(apps.values())), names
