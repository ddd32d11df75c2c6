"""A task that runs in memory, in its place among the jobs of its request."""

from collections.abc import Awaitable, Callable
from typing import Any

from postlude.runner.attempt.work import Work


class Turn:
    """The place in a request's order of a task that has no durable form.

    Args:
        task: what runs.

    Attributes:
        before: the last plain job before it, if there is one; it waits for the first attempt of that.
        works: the plain jobs after it, up to the next such task: they wait for its end.
        heads: those of them that follow none of the others.
        passed: whether it has ended, or they need not wait for it any more.
    """

    usual = False

    __slots__ = ("before", "heads", "passed", "task", "works")

    def __init__(self, task: Callable[[], Awaitable[Any]]) -> None:
        self.task = task
        self.before: Work | None = None
        self.works: list[Work] = []
        self.heads: list[Work] = []
        self.passed = False
