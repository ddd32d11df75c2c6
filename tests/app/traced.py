"""Tasks that say what they know of their request's trace."""

from contextvars import ContextVar
from typing import Any

from fastapi import Depends
from opentelemetry import context

from tests.app.work import say

LEFT: ContextVar[str] = ContextVar("left", default="-")
"""A variable of the application's that travels with no job."""


def tell(who: str) -> None:
    say(f"{who}: {context.get_value('request') or '-'} {LEFT.get()}")


async def async_task() -> None:
    tell("async")


def sync_task() -> None:
    tell("sync")


def get_session() -> str:
    return "session"


async def filled_task(session: Any = Depends(get_session)) -> None:
    tell("filled")


def filled_sync_task(session: Any = Depends(get_session)) -> None:
    tell("filled sync")


async def failing_task() -> None:
    tell("failing")
    raise ValueError("broken")


def failing_sync_task() -> None:
    tell("failing sync")
    raise ValueError("broken")
