"""Postlude: background tasks for FastAPI and Starlette that survive."""

from typing import TYPE_CHECKING, Any

from postlude.app.postlude import Postlude
from postlude.config import Config, Keep
from postlude.dashboard.access import Access
from postlude.engines.local import Local
from postlude.engines.protocol import Engine
from postlude.errors import (
    CannotJoin,
    Discard,
    ForkedJournal,
    InvalidArguments,
    InvalidResult,
    JobCancelled,
    JobFailed,
    JobNotFound,
    JobRefused,
    JournalRefused,
    JournalUnavailable,
    KeyTaken,
    NotDurable,
    NothingToPause,
    PostludeError,
    RequestOver,
    ResultDropped,
    RetryLater,
    ScheduleNotFound,
    Snooze,
    TaskDefinitionError,
    UnknownTask,
    UnsupportedFramework,
    WaitsForItself,
)
from postlude.jobs.bulk import Acted
from postlude.jobs.current import CurrentJob, current_job, raise_if_cancelled
from postlude.jobs.handle import Job
from postlude.model.job import Cancel, Progress
from postlude.model.limits import Limit, Rate
from postlude.model.retry import Backoff, Exponential, Fixed, Linear, Retry
from postlude.model.snapshot import Snapshot
from postlude.model.state import Reason, State
from postlude.request.background import BackgroundTask, BackgroundTasks
from postlude.stores.protocol import Store
from postlude.stores.values import Pause
from postlude.tasks.call import Call
from postlude.tasks.inject.dependencies import injected
from postlude.tasks.task import Task

if TYPE_CHECKING:
    from postlude.engines.celery import CeleryEngine

    __version__: str

__all__ = [
    "Access",
    "Acted",
    "BackgroundTask",
    "BackgroundTasks",
    "Backoff",
    "Call",
    "Cancel",
    "CannotJoin",
    "CeleryEngine",
    "Config",
    "CurrentJob",
    "Discard",
    "Engine",
    "Exponential",
    "Fixed",
    "ForkedJournal",
    "InvalidArguments",
    "InvalidResult",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobNotFound",
    "JobRefused",
    "JournalRefused",
    "JournalUnavailable",
    "Keep",
    "KeyTaken",
    "Limit",
    "Linear",
    "Local",
    "NotDurable",
    "NothingToPause",
    "Pause",
    "Postlude",
    "PostludeError",
    "Progress",
    "Rate",
    "Reason",
    "RequestOver",
    "ResultDropped",
    "Retry",
    "RetryLater",
    "ScheduleNotFound",
    "Snapshot",
    "Snooze",
    "State",
    "Store",
    "Task",
    "TaskDefinitionError",
    "UnknownTask",
    "UnsupportedFramework",
    "WaitsForItself",
    "current_job",
    "injected",
    "raise_if_cancelled",
]


def __getattr__(name: str) -> Any:
    """Import what needs an extra, or time, when it is asked for."""
    if name == "__version__":
        from importlib.metadata import version

        return version("postlude")
    if name != "CeleryEngine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from postlude.engines.celery import CeleryEngine
    except ModuleNotFoundError as error:
        raise ImportError("CeleryEngine needs Celery: pip install 'postlude[celery]'") from error
    return CeleryEngine
