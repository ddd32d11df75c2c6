"""The command that prunes: deletes what has ended and is kept no longer, by the rules of all acts."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from postlude.cli.acting import carry_out
from postlude.cli.display import print_json
from postlude.cli.exits import Usage, errors_in_one_line
from postlude.cli.journal import acting
from postlude.cli.options import DryRunOption, JsonOption, StoreOption, YesOption
from postlude.cli.selection import moment_of
from postlude.jobs.bulk import Pruning
from postlude.jobs.plan import Plan
from postlude.jobs.pruning import Bounds, kept_no_longer
from postlude.stores.location import DEFAULT_LOCATION

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WHICH: Final = "What is kept no longer"

SucceededBefore = Annotated[
    str | None,
    typer.Option(
        help="Succeeded jobs that ended before that: 30m, 2h, 7d ago, or a date.", rich_help_panel=_WHICH
    ),
]
FailedBefore = Annotated[
    str | None,
    typer.Option(help="Failed and cancelled jobs that ended before that.", rich_help_panel=_WHICH),
]
KeepSucceeded = Annotated[
    int | None,
    typer.Option(min=0, help="Succeeded jobs but the newest: so many.", rich_help_panel=_WHICH),
]
KeepFailed = Annotated[
    int | None,
    typer.Option(min=0, help="Failed and cancelled jobs but the newest: so many.", rich_help_panel=_WHICH),
]


def prune(
    succeeded_before: SucceededBefore = None,
    failed_before: FailedBefore = None,
    keep_succeeded: KeepSucceeded = None,
    keep_failed: KeepFailed = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    store: StoreOption = DEFAULT_LOCATION,
    as_json: JsonOption = False,
) -> None:
    """Delete jobs that have ended and are kept no longer, without waiting until the application does."""
    typed = {
        "--succeeded-before": succeeded_before,
        "--keep-succeeded": keep_succeeded,
        "--failed-before": failed_before,
        "--keep-failed": keep_failed,
    }
    with errors_in_one_line():
        if not any(value is not None for value in typed.values()):
            raise Usage(
                "say what is kept no longer: --succeeded-before 1d, --failed-before 14d, or all but the "
                "newest, --keep-succeeded 1000, --keep-failed 1000"
            )
        with acting(store) as journal:
            now = _EPOCH + timedelta(microseconds=journal.now())
            bounds = Bounds(
                _moment("--succeeded-before", succeeded_before, now),
                keep_succeeded,
                _moment("--failed-before", failed_before, now),
                keep_failed,
            )
            done = carry_out(
                Plan.of(Pruning(), kept_no_longer(journal, bounds)),
                journal,
                meant=" ".join(f"{name} {value}" for name, value in typed.items() if value is not None),
                dry_run=dry_run,
                yes=yes,
                say=lambda line: typer.echo(line, err=as_json),  # JSON is alone on standard output
            )
    if as_json:
        print_json(done)


def _moment(option: str, text: str | None, now: datetime) -> int | None:
    return None if text is None else moment_of(option, text, now)
