"""The door for FastAPI: the parameter whose `add_task` returns a job, and the body of a 202."""

from postlude.request.background import Accepted as Accepted
from postlude.request.background import RequestTasks as BackgroundTasks

__all__ = ["Accepted", "BackgroundTasks"]
