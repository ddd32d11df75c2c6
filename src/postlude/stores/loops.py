"""Calls on event loops that may be gone."""

from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import TypeVarTuple, Unpack

Ts = TypeVarTuple("Ts")


def call_on(loop: AbstractEventLoop, call: Callable[[Unpack[Ts]], object], *args: *Ts) -> bool:
    """Make a call on a loop, from any thread; False if the loop has closed."""
    try:
        loop.call_soon_threadsafe(call, *args)
    except RuntimeError:
        return False
    return True
