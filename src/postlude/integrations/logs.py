"""Logs for programs: `log_changes(postlude)` has each change of a job be one record, with fields.

By the application's own logging, so its handlers and formatters (structlog's too) decide what they become.
"""

from postlude.app.postlude import Postlude
from postlude.integrations.joining import join
from postlude.telemetry.logging.changes import Changes

__all__ = ["log_changes"]


def log_changes(postlude: Postlude) -> None:
    """Log, at INFO on `postlude.changes`, what happens to each job of a Postlude from now on.

    What goes wrong is logged anyway, on `postlude.jobs`. With OpenTelemetry, call this after `instrument`:
    then a record has the trace that its attempt has.
    """
    join(postlude, Changes())
