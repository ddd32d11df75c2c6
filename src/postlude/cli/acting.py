"""Acting on jobs: first what would be done, then, if that is confirmed, in pieces that are counted."""

import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import typer

from postlude.cli.answering import deed
from postlude.cli.exits import Exit, Refused
from postlude.cli.progress import progress
from postlude.cli.text import counted, escaped, exactly
from postlude.errors import JobNotFound, PostludeError
from postlude.jobs.bulk import PIECE, Acted, Asked
from postlude.jobs.deeds import Answered
from postlude.jobs.inspector import JobStatus
from postlude.jobs.plan import Plan
from postlude.messages.quoting import cut
from postlude.model.ids import id_text
from postlude.model.job import Found
from postlude.model.state import State
from postlude.stores.protocol import Store

SAMPLES: Final = 5


def in_words(plan: Plan, store: Store, *, more: bool) -> list[str]:
    """Say what is to be done, with samples if these are several jobs.

    Args:
        store: tells of the samples.
        more: it is asked for, and not only told.
    """
    states = Counter(job.state for job in plan.jobs)
    told = ", ".join(f"{states[state]:,} {state}" for state in State if states[state])
    lines = [f"{plan.act.verb}: {counted(len(plan.jobs))} ({told})"] if plan.jobs else []
    if more:
        lines += [f"  {_in_a_line(store, job)}" for job in plan.jobs[:SAMPLES]]
        if len(plan.jobs) > SAMPLES:
            lines.append(f"  … and {len(plan.jobs) - SAMPLES:,} more")
    if plan.skipped:
        told = ", ".join(f"{count:,} {state}" for state, count in sorted(plan.skipped.items()))
        lines.append(f"left alone: {told}")
    return lines


def carry_out(
    plan: Plan, store: Store, *, meant: str = "", dry_run: bool, yes: bool, say: Callable[[str], None]
) -> dict[str, Any]:
    """Do what is planned, if it is confirmed; returns what was done.

    Args:
        plan: what.
        store: the journal, open.
        meant: which jobs, in the words in which that was typed.
        dry_run: only say it.
        yes: do not ask. Of one job nobody is asked.
        say: writes a line for people.

    Raises:
        JobNotFound: no job is meant.
        Refused: it was not confirmed, or nothing can be done with the jobs that are meant.
    """
    if not plan.jobs and not plan.skipped:
        raise JobNotFound("no job is meant")
    ask = len(plan.jobs) > 1 and not yes
    for line in in_words(plan, store, more=dry_run or ask):
        say(line)
    if not plan.jobs:
        raise Refused(f"nothing to {plan.act.verb}")
    acted = Acted()
    if not dry_run:
        if ask and not _confirmed(plan):
            raise Refused("not confirmed, so nothing was done; --yes confirms where nobody can be asked")
        _in_pieces(plan, Answered(store, deed(plan.act.verb, meant)), acted, say)
    return {
        "act": plan.act.verb,
        "dry_run": dry_run,
        "meant": len(plan.jobs),
        "done": dict(acted.done),
        "not_done": dict(acted.not_done),
        "left_alone": {str(state): count for state, count in plan.skipped.items()},
        "jobs": [id_text(job.id) for job in plan.jobs],
    }


def _in_pieces(plan: Plan, store: Asked, acted: Acted, say: Callable[[str], None]) -> None:
    """Do it, and say what was done, also if it comes to no end."""
    with _ctrl_c_noted() as pressed:
        try:
            _until_pressed(plan, store, acted, pressed)
        except KeyboardInterrupt:
            _say_what_was_done(plan, acted, say)
            say(f"interrupted: up to {counted(PIECE)} more may be done, the rest was left alone")
            raise typer.Exit(Exit.INTERRUPTED) from None
        except PostludeError:
            _say_what_was_done(plan, acted, say)
            raise
    _say_what_was_done(plan, acted, say)
    if acted.total < len(plan.jobs):
        say("interrupted: the rest was left alone")
        raise typer.Exit(Exit.INTERRUPTED)


def _until_pressed(plan: Plan, store: Asked, acted: Acted, pressed: Callable[[], bool]) -> None:
    with progress("jobs", len(plan.jobs), worth_it=len(plan.jobs) > PIECE) as told:
        plan.carry_out(store, acted, pressed, told)


@contextmanager
def _ctrl_c_noted() -> Iterator[Callable[[], bool]]:
    """Have Ctrl-C wait until what the journal was asked for is counted; pressed again, it does not wait.

    Gives what says whether it was pressed.
    """
    pressed: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    if threading.current_thread() is not threading.main_thread():  # no signal comes here
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


def _confirmed(plan: Plan) -> bool:
    if not sys.stdin.isatty():
        return False
    return typer.confirm(f"{plan.act.verb.capitalize()} {counted(len(plan.jobs))}?", err=True)


def _say_what_was_done(plan: Plan, acted: Acted, say: Callable[[str], None]) -> None:
    done = [f"{count:,} {what}" for what, count in acted.done.items()]
    not_done = [f"{count:,} not: {what}" for what, count in acted.not_done.items()]
    say("; ".join([*done, *not_done]) or f"nothing was done of {counted(len(plan.jobs))}")


def _in_a_line(store: Store, job: Found) -> str:
    record = store.get(job.id).wait()
    if record is None:
        return id_text(job.id)
    status = JobStatus.of(record)
    error = f" {escaped(cut(status.error))}" if status.error else ""
    return f"{status.id} {status.state} {escaped(status.task)} {exactly(status.created)}{error}"
