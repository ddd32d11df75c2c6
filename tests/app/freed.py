"""Tasks that hold something large, and end in every way. The cargo counts who is still there."""

import asyncio
import threading
import time
import weakref
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Depends

from postlude import Discard, Snooze, raise_if_cancelled
from postlude.jobs.current import current_job

ALIVE: Final[weakref.WeakSet["Cargo"]] = weakref.WeakSet()
GO: Final = threading.Event()
"""Lets threads end whose time is over."""

STARTED: Final = threading.Event()


@dataclass(eq=False)
class Cargo:
    """Something large."""

    of: str

    def __post_init__(self) -> None:
        ALIVE.add(self)


class Failure(Exception):
    """Holds something itself, as errors of clients hold their responses."""

    def __init__(self) -> None:
        self.cargo = Cargo("of the error")


async def given() -> Any:
    cargo = Cargo("of the dependency")
    try:
        yield cargo
    finally:
        del cargo


def end(how: str) -> None:
    """End as this says, but by waiting."""
    local = Cargo("of a function that was called")
    match how:
        case "failed":
            raise Failure
        case "chained":
            try:
                raise Failure
            except Failure as error:
                raise ValueError("because of it") from error
        case "retried" if current_job().attempt == 1:
            raise Failure
        case "discarded":
            raise Discard("enough")
        case "snoozed" if not STARTED.is_set():
            STARTED.set()
            raise Snooze(0)
    del local


def wait(how: str) -> None:
    """Wait in a thread until the end is asked for, or is allowed."""
    STARTED.set()
    while not GO.is_set():
        if how != "swallowed":
            raise_if_cancelled()
        time.sleep(0.001)


async def wait_here(how: str) -> None:
    STARTED.set()
    try:
        await asyncio.sleep(60)
    except BaseException:
        if how != "swallowed":
            raise


WAITING: Final = ("cancelled", "late", "swallowed")


async def on_loop(how: str, argument: Cargo) -> None:
    local = Cargo("of the function")
    end(how)
    if how in WAITING:
        await wait_here(how)
    del local


def in_thread(how: str, argument: Cargo) -> None:
    local = Cargo("of the function")
    end(how)
    if how in WAITING:
        wait(how)
    del local


async def filled(how: str, argument: Cargo, other: Cargo = Depends(given)) -> None:
    await on_loop(how, argument)


def filled_in_thread(how: str, argument: Cargo, other: Cargo = Depends(given)) -> None:
    in_thread(how, argument)
