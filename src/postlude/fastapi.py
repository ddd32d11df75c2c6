"""The door for FastAPI: the parameter whose `add_task` returns a job, and the body of a 202."""

from postlude.background import Accepted as Accepted
from postlude.background import RequestTasks as BackgroundTasks

__all__ = ["Accepted", "BackgroundTasks"]
