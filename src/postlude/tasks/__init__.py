"""Tasks: functions with a name and a policy, and the form in which their arguments are kept."""

from postlude.tasks.codec.payload import Payload
from postlude.tasks.registry import Registry
from postlude.tasks.task import Task

__all__ = ["Payload", "Registry", "Task"]
