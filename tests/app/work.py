"""The functions that these tests add. They have importable names and write to one log."""

import asyncio
import threading

LOG: list[str] = []

HEARD = threading.Condition()
"""Notified when something was written to the log."""


def say(text: str) -> None:
    with HEARD:
        LOG.append(text)
        HEARD.notify_all()


def until(lines: int, timeout: float = 20.0) -> list[str]:
    """Wait until the log has so many lines; not on the event loop that must write them."""
    with HEARD:
        assert HEARD.wait_for(lambda: len(LOG) >= lines, timeout), LOG[-20:]
        return list(LOG)


async def note(text: str) -> None:
    say(text)


def note_sync(text: str) -> None:
    say(text)


def breaks(text: str) -> None:
    say(text)
    raise ValueError(text)


def note_all(texts: list[str]) -> None:
    say(",".join(texts))


_GATES: list[asyncio.Event] = []


def shut() -> asyncio.Event:
    """Return what `hold` waits for from now on."""
    _GATES[:] = [asyncio.Event()]
    return _GATES[0]


async def hold(text: str) -> None:
    await _GATES[0].wait()
    say(f"{text} held")


TOGETHER = threading.Barrier(40)


def meet() -> None:
    """Return when 40 are here."""
    TOGETHER.wait(10)
