"""What the runner asks of whoever fills the parameters of tasks that FastAPI's `Depends` fills."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from postlude.tasks.task import Task

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Calls a function in a worker thread of the runner, in a copy of the context that it is given in."""


class Injection(Protocol):
    """Runs tasks that have dependencies. Never asked about others (`Task.injected` is empty)."""

    async def run(
        self, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], in_thread: InThread
    ) -> Any:
        """Resolve the task's dependencies, call its function with them, close them; return what it returned.

        Args:
            task: it has dependencies.
            args: its arguments, as stored.
            kwargs: the same, by name.
            in_thread: where its function is called, if it is not async.

        Raises:
            BaseException: what the function raised, also if closing the dependencies raised something
                else; or what a dependency raised.
        """
        ...
