"""The command that runs jobs: `postlude worker`."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from postlude.cli.application import meant
from postlude.cli.exits import Usage, errors_in_one_line
from postlude.cli.options import ApplicationArgument
from postlude.cli.panels import SET_UP
from postlude.messages.quoting import quoted
from postlude.worker.main import Settings, work
from postlude.worker.orders import Orders

_WITHIN: Final = "Which jobs"
_END: Final = "Its end"
_HEALTH: Final = "Looking after it"

_UNITS: Final = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def add_worker(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=SET_UP)(worker)


def worker(
    application: ApplicationArgument = None,
    queues: Annotated[
        list[str] | None,
        typer.Option("--queues", help="Only these: mail,reports; can be repeated.", rich_help_panel=_WITHIN),
    ] = None,
    processes: Annotated[
        int,
        typer.Option("--processes", min=0, max=1000, help="How many; 0: this very one, without a parent."),
    ] = 1,
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", min=1, help="Jobs that each runs at once; otherwise as Config says."),
    ] = None,
    grace: Annotated[
        float | None,
        typer.Option(
            "--grace",
            min=0,
            help="Seconds that its end waits for jobs; otherwise as Config says.",
            rich_help_panel=_END,
        ),
    ] = None,
    max_jobs: Annotated[
        int | None,
        typer.Option("--max-jobs", min=1, help="Replace a process after so many.", rich_help_panel=_END),
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            "--max-memory", help="Replace a process that uses more: 500M, 2G.", rich_help_panel=_END
        ),
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Start afresh when a Python file changes, for development.")
    ] = False,
    app_dir: Annotated[
        Path,
        typer.Option("--app-dir", help="Where modules are looked for first.", exists=True, file_okay=False),
    ] = Path(),
    health: Annotated[
        str | None,
        typer.Option(
            "--health",
            help="Answer GET /live and /ready there: 8080, or 127.0.0.1:8080.",
            rich_help_panel=_HEALTH,
        ),
    ] = None,
    health_file: Annotated[
        Path | None,
        typer.Option(
            "--health-file",
            help="Write it every few seconds while jobs are run.",
            rich_help_panel=_HEALTH,
        ),
    ] = None,
) -> None:
    """Run jobs, and do nothing else: in processes beside the application's servers, on the same journal.

    The application's lifespan runs in each process. SIGTERM and Ctrl-C let running jobs end within the grace
    period, and release the others; a second one ends at once. SIGHUP starts the processes afresh.

    Exit codes: 0 ended as it was told, 1 could not be started, or not all ended in time, 2 what was typed
    does not say what is meant; 130, 143: ended at once by a second SIGINT, SIGTERM.
    """
    with errors_in_one_line():
        if reload and processes != 1:
            raise Usage("--reload works with one process: leave --processes out")
        if not processes and (health or health_file):
            raise Usage("--health and --health-file are told by a parent: give --processes 1 or more")
        orders = Orders(
            meant(application, "worker"),
            os.path.abspath(app_dir),
            _queues(queues or []),
            concurrency,
            1.0 if reload and grace is None else grace,
            max_jobs,
            None if max_memory is None else _bytes(max_memory),
        )
        settings = Settings(processes, reload, None if health is None else address_of(health), health_file)
        code = work(orders, settings)
    sys.exit(code)


def _queues(given: list[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for text in given for name in text.split(",")))
    if "" in names:
        raise Usage(f"--queues {','.join(given)}: a queue has a name")
    return names


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)\s*([kmg]?)(i?b)?", text.strip().lower())
    if found is None or not int(found[1]):
        raise Usage(f"--max-memory {quoted(text)}: give bytes, such as 500M or 2G")
    return int(found[1]) * _UNITS[found[2]]


def address_of(text: str) -> tuple[str, int]:
    """Return the host and the port of `--health`.

    Raises:
        Usage: it is neither a port nor host:port.
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        raise Usage(f"--health {quoted(text)}: give a port, or host:port")
    return host.strip("[]") or "0.0.0.0", int(port)
