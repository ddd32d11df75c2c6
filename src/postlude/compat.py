"""Names of Python, anyio, Starlette and granian that nothing promises: all of Postlude has them from here.

Each says where it is found; `tests/test_compat.py` fails when one goes or comes to mean something else, and
`make versions` runs that on every release. FastAPI's are in `postlude.frameworks.fastapi.internals`.
"""

import asyncio
import inspect
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, AsyncExitStack
from typing import Any, Final

from anyio._backends._asyncio import AsyncIOBackend
from anyio._core._eventloop import claim_worker_thread
from starlette._utils import is_async_callable
from starlette.middleware.exceptions import ExceptionMiddleware

__all__ = [
    "EXCEPTION_HANDLERS",
    "GRANIAN_LOG",
    "ParameterKind",
    "SilentLoop",
    "connections_of",
    "exception_handlers",
    "forget_task",
    "interpreter_flags",
    "is_async_callable",
    "is_empty",
    "is_future",
    "marks_of_coroutine_functions",
    "running_loop",
    "worker_thread",
]

# Starlette 0.37.2 to 1.10: `is_async_callable`, whose answer decides how Starlette calls a function.

EXCEPTION_HANDLERS: Final = "starlette.exception_handlers"
"""Starlette 0.37.2 to 1.10: where a scope has the handlers of exceptions and of statuses that routes ask."""

GRANIAN_LOG: Final = "_granian"
"""granian 2.8: the logger whose lines it shows at INFO. That which `granian.log` makes is the same."""

running_loop: Final = asyncio._get_running_loop
"""Python 3.11 to 3.14: the event loop that runs in this thread, or None, without an exception for that."""

ParameterKind = inspect._ParameterKind
"""Python 3.11 to 3.14: the type of `inspect.Parameter.kind`."""


def exception_handlers(middleware: ExceptionMiddleware) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Return the handlers that Starlette's middleware keeps, by class and by status: the dicts themselves.

    Starlette 0.37.2 to 1.10.
    """
    kept: Any = middleware
    return kept._exception_handlers, kept._status_handlers


def worker_thread(loop: asyncio.AbstractEventLoop) -> AbstractContextManager[Any]:
    """Let this thread count as one of anyio's beside a loop, so that `anyio.from_thread` works in it.

    anyio 4.11 to 4.16; those before it want a scope of their own in the thread.
    """
    return claim_worker_thread(AsyncIOBackend, loop)


def forget_task(task: asyncio.Task[Any]) -> None:
    """Take a task from those that `asyncio.all_tasks` knows, and `asyncio.run` waits for.

    Python 3.11 to 3.14, whose documentation has it for libraries with tasks of their own.
    """
    asyncio._unregister_task(task)


def is_future(kind: type) -> bool:
    """Whether the instances of a class are futures or tasks of asyncio, as asyncio itself tells.

    Python 3.11 to 3.14. `asyncio.isfuture` asks an instance.
    """
    return hasattr(kind, "_asyncio_future_blocking")


def marks_of_coroutine_functions() -> dict[str, Any]:
    """Return the attributes by which `inspect` and asyncio take a callable for a coroutine function.

    Python 3.11, by a name of asyncio's; from 3.12 on `inspect` has a function for it.
    """
    if sys.version_info >= (3, 12):
        return dict(vars(inspect.markcoroutinefunction(lambda: None)))
    return {"_is_coroutine": asyncio.coroutines._is_coroutine}  # type: ignore[attr-defined]


def is_empty(stack: AsyncExitStack | None) -> bool:
    """Whether there is a stack, and nothing that leaves with it.

    Python 3.11 to 3.14.
    """
    return not getattr(stack, "_exit_callbacks", True)


def interpreter_flags() -> list[str]:
    """Return the options that this Python was started with (-O, -W, -X and the like).

    Python 3.11 to 3.14, for `multiprocessing`.
    """
    flags: Any = subprocess
    return list(flags._args_from_interpreter_flags())


class SilentLoop(asyncio.BaseEventLoop):
    """An event loop without an outside: it opens no files, and nothing is logged of it.

    Python 3.11 to 3.14: what asyncio's own loops define beside `BaseEventLoop`.

    Args:
        wait: called where other loops wait for what comes, with the seconds that they would: None: for ever.
    """

    def __init__(self, wait: Callable[[float | None], None]) -> None:
        super().__init__()
        self.set_debug(False)
        self._selector = self
        self._wait = wait

    def select(self, timeout: float | None) -> list[Any]:
        """Return what has happened outside: nothing, but a thread may have had something to say."""
        self._wait(timeout)
        return []

    def _process_events(self, events: list[Any]) -> None: ...

    def _write_to_self(self) -> None: ...


def connections_of(transaction: Any) -> list[Any]:
    """Return the connections on which a transaction of an SQLAlchemy session has begun; None: on none.

    SQLAlchemy 2.0 to 2.1: `SessionTransaction._connections`, by engine and by connection. What is public
    would begin one that has not.
    """
    if transaction is None:
        return []
    return list({id(connection): connection for connection, *_ in transaction._connections.values()}.values())
