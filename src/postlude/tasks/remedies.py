"""What people pass to tasks that no journal can keep, in their words, and what to pass instead.

By the names of classes, because none of their packages may be imported here.
"""

import io
from collections.abc import AsyncIterator, Awaitable, Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

_SESSION: Final = (
    "a database session or connection, which ends where it was opened; have one opened for the task "
    "(`session: AsyncSession = Depends(get_session)`, or `with` inside it), and pass ids"
)
_OPEN_FILE: Final = "an open file, which another process does not have; pass its path or what it holds"

_KINDS: Final[dict[str, tuple[str, ...]]] = {
    "an upload, which ends with its request; store it first, and pass where it is (its path)": (
        "starlette.datastructures.UploadFile",
    ),
    "a form, whose uploads end with its request; store those first, and pass fields and paths": (
        "starlette.datastructures.FormData",
    ),
    "the request, which is over when the job runs; pass what the task needs of it (a user's id)": (
        "starlette.requests.HTTPConnection",
    ),
    "a connection to a client, which this process has; let the endpoint talk to it, and pass values": (
        "starlette.websockets.WebSocket",
    ),
    "a response, which has been sent when the job runs; pass what the task needs of it": (
        "starlette.responses.Response",
    ),
    "the application, of which each process has its own; take `request.app` in a dependency of the task": (
        "starlette.applications.Starlette",
    ),
    "one request's; the task itself can add jobs by `await postlude.add_task(...)`": (
        "starlette.background.BackgroundTask",
    ),
    _SESSION: (
        "sqlalchemy.orm.session.Session",
        "sqlalchemy.orm.scoping.scoped_session",
        "sqlalchemy.ext.asyncio.session.AsyncSession",
        "sqlalchemy.ext.asyncio.scoping.async_scoped_session",
    ),
    "the handle of a job; pass its id (`job.id`), and find it by `await postlude.job(id)`": (
        "postlude.jobs.handle.Job",
    ),
    "what a job sees of itself; call `current_job()` where it is needed": (
        "postlude.jobs.current.CurrentJob",
    ),
    "a task; import it in the module that calls it": ("postlude.tasks.task.Task",),
    "which is in this process's memory only; give the task a `key` or a `limit`, or pass what is in it": (
        *("_thread.lock", "_thread.RLock", "threading._RLock", "threading.Condition", "threading.Semaphore"),
        *("threading.Event", "threading.Barrier", "asyncio.locks.Lock", "asyncio.locks.Condition"),
        *("asyncio.locks.Semaphore", "asyncio.locks.Event", "multiprocessing.synchronize.SemLock"),
        *("anyio._core._synchronization.Lock", "anyio._core._synchronization.Event"),
        *("anyio._core._synchronization.Semaphore", "anyio._core._synchronization.CapacityLimiter"),
        *("asyncio.queues.Queue", "queue.Queue", "_queue.SimpleQueue", "multiprocessing.queues.Queue"),
        "contextvars.ContextVar",
    ),
    "which runs in this process only; pass what it is about, and let the task do it": (
        *("threading.Thread", "multiprocessing.process.BaseProcess", "subprocess.Popen"),
        *("_asyncio.Future", "asyncio.futures.Future", "concurrent.futures._base.Future"),
        *("concurrent.futures._base.Executor", "asyncio.events.AbstractEventLoop"),
    ),
    "a connection, which another process does not have; open one in the task (by `Depends`, say)": (
        *("socket.socket", "_socket.socket", "asyncio.streams.StreamReader", "asyncio.streams.StreamWriter"),
        *("httpx.Client", "httpx.AsyncClient", "aiohttp.client.ClientSession", "requests.sessions.Session"),
        *("smtplib.SMTP", "ftplib.FTP", "imaplib.IMAP4", "http.client.HTTPConnection"),
    ),
    _OPEN_FILE: ("tempfile.SpooledTemporaryFile", "tempfile._TemporaryFileWrapper"),
}
_BY_NAME: Final = {name: told for told, names in _KINDS.items() for name in names}

_DRIVERS: Final = frozenset(
    {
        *("sqlalchemy", "sqlite3", "psycopg", "psycopg2", "psycopg_pool", "asyncpg", "aiosqlite", "apsw"),
        *("aiomysql", "asyncmy", "pymysql", "MySQLdb", "redis", "pymongo", "motor", "databases", "tortoise"),
    }
)
"""Packages whose sessions, connections, cursors, engines and clients are known by the ends of their names."""
_ENDS: Final = ("Session", "Connection", "Cursor", "Engine", "Pool", "Client", "Transaction", "Redis")


def remedy_of(value: Any) -> str | None:
    """Return what a value is and what to pass instead; None for what is not among these kinds."""
    return remedy_of_kind(type(value)) or _of_language(value)


def remedy_of_kind(kind: type) -> str | None:
    """Return the same for a class, of which no value can be kept; None for what is not among them."""
    if issubclass(kind, io.IOBase):
        return f"is {_OPEN_FILE}"
    for each in kind.__mro__:
        module, name = str(getattr(each, "__module__", "")), each.__name__
        told = _BY_NAME.get(f"{module}.{name}")
        if told is None and module.partition(".")[0] in _DRIVERS and name.endswith(_ENDS):
            told = _SESSION
        if told is not None:
            return f"is of type {kind.__name__} ({kind.__module__}.{kind.__qualname__}), {told}"
    if hasattr(kind, "_sa_class_manager"):
        return "is a row that belongs to a database session; pass its id, and load it in the task"
    if hasattr(kind, "tolist"):
        what = f"is of type {kind.__module__}.{kind.__qualname__}"
        return f"{what}; pass value.tolist(), or store it and pass its path"
    return None


def _of_language(value: Any) -> str | None:
    """Return the same for what belongs to Python itself."""
    if isinstance(value, (FunctionType, MethodType)):
        what = "a function (a lambda)" if value.__name__ == "<lambda>" else "a function"
        return (
            f"is {what}, and code is not stored; pass a value that says which, and choose by it in the task"
        )
    if isinstance(value, type):
        return "is a class, and code is not stored; pass its name, and choose by it in the task"
    if isinstance(value, ModuleType):
        return "is a module; import it in the task"
    if isinstance(value, BaseException):
        return "is an exception, which would come back without its traceback; pass its text, str(error)"
    kind = type(value).__name__
    if isinstance(value, AsyncIterator):
        return f"is an async iterator ({kind}), which would be used up; pass a list"
    if isinstance(value, Iterator):
        return f"is an iterator ({kind}), which would be used up by looking at it; pass a list"
    if isinstance(value, Awaitable):
        return f"is of type {kind}, and nobody has awaited it; await it, and pass what it gives"
    return None
