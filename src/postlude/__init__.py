"""Postlude: background tasks for FastAPI and Starlette that survive."""

from postlude.app import Postlude
from postlude.background import BackgroundTask, BackgroundTasks
from postlude.config import Config, Keep
from postlude.errors import (
    InvalidArguments,
    JobNotFound,
    JournalRefused,
    JournalUnavailable,
    NotDurable,
    PostludeError,
    RequestOver,
    TaskDefinitionError,
    UnknownTask,
    UnsupportedFramework,
)
from postlude.job import Job

__all__ = [
    "BackgroundTask",
    "BackgroundTasks",
    "Config",
    "InvalidArguments",
    "Job",
    "JobNotFound",
    "JournalRefused",
    "JournalUnavailable",
    "Keep",
    "NotDurable",
    "Postlude",
    "PostludeError",
    "RequestOver",
    "TaskDefinitionError",
    "UnknownTask",
    "UnsupportedFramework",
]
