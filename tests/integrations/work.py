"""Tasks that say which trace they see."""

import asyncio
from typing import Annotated

from fastapi import Depends
from opentelemetry import trace

from postlude import Discard, RetryLater, Snooze, injected

SEEN: list[tuple[str, str]] = []
"""Who has run, and under which span."""


def see(who: str) -> None:
    context = trace.get_current_span().get_span_context()
    SEEN.append((who, f"{context.span_id:016x}"))


async def on_the_loop() -> None:
    see("loop")


def in_a_thread() -> None:
    see("thread")


def session() -> str:
    return "session"


async def filled(session: Annotated[str, Depends(session)] = injected) -> None:
    see("filled")


def filled_in_a_thread(session: Annotated[str, Depends(session)] = injected) -> None:
    see("filled thread")


async def breaks() -> None:
    raise ValueError("a secret")


async def snoozes_once() -> None:
    SEEN.append(("snoozes", ""))
    if len(SEEN) == 1:
        raise Snooze(0.01)


async def later_once() -> None:
    SEEN.append(("later", ""))
    if len(SEEN) == 1:
        raise RetryLater(0.01)


async def discards() -> None:
    raise Discard("no such order")


async def takes_long() -> None:
    see("long")
    await asyncio.sleep(3600)
