"""A task that runs in memory, in its place among the jobs of its request."""

from collections.abc import Awaitable, Callable
from typing import Any


class Turn:
    """The place in a request's order of a task that has no durable form.

    Args:
        task: what runs.
    """

    __slots__ = ("task",)

    def __init__(self, task: Callable[[], Awaitable[Any]]) -> None:
        self.task = task
