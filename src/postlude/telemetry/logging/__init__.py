"""The listener that writes the log: every line that the package says of what happens is worded here."""

from logging import INFO

from postlude.model.event.jobs import ArgumentsChanged
from postlude.telemetry.events import Events
from postlude.telemetry.logging import broker, jobs, journal, request, runner, schedules, worker


def logged() -> Events:
    """Return a dispatcher whose events are written to the log."""
    events = Events()
    others = runner.LINES, journal.LINES, request.LINES, schedules.LINES, worker.LINES, broker.LINES
    for lines in (jobs.lines(), runner.WhileAway().lines(), *others):
        for kind, write in lines.items():
            events.listen(write, kind)
    events.listen(jobs.arguments_changed, ArgumentsChanged, when=lambda: jobs.JOBS.shows(INFO))
    return events
