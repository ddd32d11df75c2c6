"""Tasks that the tests run in other processes. Imported there too, so it needs little."""

import asyncio
import ctypes
import gc
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import weakref
from multiprocessing.connection import Connection
from pathlib import Path

from postlude.errors import Discard, RetryLater, Snooze
from postlude.jobs.current import current_job, raise_if_cancelled
from postlude.model.retry import Retry
from postlude.runner.executors.process import inside
from postlude.tasks.registry import Registry

registry = Registry(max_result=64 * 1024 * 1024)
log = logging.getLogger(__name__)

if inside() and os.environ.get("POSTLUDE_TEST_BROKEN"):
    raise RuntimeError("broken on import")


@registry.task
def square(number: int) -> int:
    return number * number


@registry.task
def nothing() -> None: ...


@registry.task
def pid() -> int:
    return os.getpid()


@registry.task(retry=Retry(on=ValueError))
def raising(kind: str) -> None:
    match kind:
        case "covered":
            raise ValueError("no such thing\nas a second line")
        case "other":
            raise KeyError("other")
        case "exit":
            sys.exit(3)
        case "snooze":
            raise Snooze(12.5)
        case "discard":
            raise Discard("not needed")
        case "later":
            raise RetryLater(7, "busy")
        case "group":
            raise ExceptionGroup("children", [Snooze(3), ExceptionGroup("more", [Discard("no such order")])])
        case "mixed":
            raise ExceptionGroup("children", [Snooze(3), ValueError("seven")])
        case "coroutine":
            return asyncio.sleep(0)  # type: ignore[return-value]


@registry.task
def dying(how: str) -> None:
    match how:
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            os._exit(5)
        case "abort":
            os.abort()
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)


@registry.task
def wait_for(file: str, mark: str | None = None) -> int:
    """Compute until a file is there."""
    if mark is not None:
        Path(mark).write_text(str(os.getpid()))
    while not os.path.exists(file):
        time.sleep(0.002)
    return os.getpid()


@registry.task
def meet(mine: str, other: str) -> int:
    """Return when the other one runs too."""
    Path(mine).touch()
    while not os.path.exists(other):
        time.sleep(0.002)
    return os.getpid()


CARGO: list[weakref.ref["Cargo"]] = []


class Cargo:
    """Something that a function has in its hands."""


@registry.task
def holding(how: str) -> int:
    """Return how much of what attempts had in their hands is still there."""
    gc.disable()
    if how == "look":
        return sum(each() is not None for each in CARGO)
    cargo = Cargo()
    CARGO.append(weakref.ref(cargo))
    raise {"raise": ValueError, "discard": Discard}[how](how)


@registry.task
def starting(mark: str, how: str) -> None:
    """Start a program that outlives it, and end in some way."""
    program = subprocess.Popen(["sleep", "600"])
    Path(mark).with_suffix(".tmp").write_text(str(program.pid))
    Path(mark).with_suffix(".tmp").rename(mark)
    while how in ("hangs", "stops"):
        if how == "stops":
            raise_if_cancelled()
        time.sleep(0.002)
    dying.function(how)


@registry.task
def forking(signals: list[int]) -> list[int | None]:
    """Fork processes, send each one of these signals, and return how they ended."""
    codes: list[int | None] = []
    forking = multiprocessing.get_context("fork")
    for number in signals:
        ours, theirs = forking.Pipe()
        process = forking.Process(target=_wait_for_the_end, args=(theirs,))
        process.start()
        assert process.pid is not None
        ours.recv()
        os.kill(process.pid, number)
        process.join(5)
        codes.append(process.exitcode)
        process.kill()
    return codes


def _wait_for_the_end(connection: Connection) -> None:
    connection.send("begun")
    time.sleep(600)


@registry.task
def stoppable(mark: str) -> None:
    Path(mark).touch()
    while True:
        raise_if_cancelled()
        time.sleep(0.002)


@registry.task
def look() -> dict[str, str | int]:
    job = current_job()
    return {"id": job.id, "task": job.task, "queue": job.queue, "attempt": job.attempt}


@registry.task
def count(most: int) -> None:
    for done in range(most + 1):
        current_job().progress(done, most, "counting")


@registry.task
def tell(lines: int) -> None:
    for number in range(lines):
        log.info("line %d", number)
    log.warning("the last")


@registry.task
def large(size: int) -> str:
    return "x" * size


@registry.task
def look_around() -> list[str]:
    return [sys.stdin.read(), os.getcwd(), *sys.argv]


@registry.task(name="short", run="process")
def named(number: int) -> int:
    return number + 1


def _plain(number: int) -> int:
    return number + 2


registered = registry.task(_plain)


class Holder:
    @staticmethod
    def function() -> None: ...

    def method(self) -> None: ...


async def asynchronous() -> None: ...


def generator() -> object:
    yield 1
