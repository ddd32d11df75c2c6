"""The application whose journals are kept. It runs on every release since the first, so it uses little.

As a program it makes one phase of a journal (see `make.py`): `python golden_shop.py PHASE`.
"""

import asyncio
import logging
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any

from postlude import Config, Limit, Postlude, Retry, current_job

MENDED = "GOLDEN_MENDED" in os.environ
"""Whether this is the release of today, in which everything succeeds."""

SOON = Config() if MENDED else Config(lease=3.0, renew_every=1.0)
"""The first version in PostgreSQL does not tell which session a process had: its lease has to pass."""

postlude = Postlude(store=os.environ["GOLDEN_STORE"], packages=["golden_shop"], config=SOON)
log = logging.getLogger("golden_shop")
log.setLevel(logging.INFO)


@postlude.task
def settles(number: int) -> int:
    """Succeed, with a result, a line and progress."""
    log.info("settling %d", number)
    current_job().progress(1, 2, "half")
    return 2 * number


@postlude.task(retry=Retry(attempts=1))
def breaks(number: int) -> None:
    """Fail for good."""
    raise ValueError(f"no {number}")


@postlude.task(retry=Retry(attempts=20))
def retries(number: int) -> None:
    """Fail, until it is mended."""
    if not MENDED:
        raise OSError("later")


@postlude.task
def waits(number: int) -> int:
    """Succeed."""
    return number


@postlude.task(limit=Limit(1, per="tenant"))
def one_at_a_time(tenant: str, number: int) -> None:
    """Succeed, one after the other for each tenant."""


@postlude.task
def holds(number: int) -> None:
    """Run until the process is killed."""
    until = time.monotonic() + (0 if MENDED else 60)
    while time.monotonic() < until:
        time.sleep(0.05)


if MENDED or "GOLDEN_LEFT" not in os.environ:

    @postlude.task
    def leaves(number: int) -> int:
        """Be unknown to one release, which parks its job."""
        return number


async def becomes(job: Any, *states: str, failures: int = 0) -> None:
    """Wait until a job is in one of these states."""
    async with asyncio.timeout(30):
        while True:
            now = await postlude.inspector.get(job.id)
            if str(now.state) in states and now.attempt > failures:
                return
            await asyncio.sleep(0.02)


async def ended() -> None:
    """Jobs that have ended, and one that will be tried again."""
    await postlude.open()
    await postlude.start()
    jobs: list[Any] = [await postlude.add_task(settles, number) for number in range(1, 4)]
    jobs.append(await postlude.add_task(breaks, 7))
    cancelled = await postlude.add_task(waits.using(delay=3600), 0)
    await postlude.cancel(cancelled.id)
    for job in (*jobs, cancelled):
        await becomes(job, "succeeded", "failed", "cancelled")
    await becomes(await postlude.add_task(retries, 1), "queued", failures=1)
    await postlude.drain()
    await postlude.close()


async def left() -> None:
    """A job that the next release does not know."""
    await postlude.open()
    await postlude.add_task(leaves, 5)
    await postlude.close()


async def killed() -> None:
    """A job is parked, and the process dies while another one runs."""
    await postlude.open()
    await postlude.start()
    async with asyncio.timeout(30):
        while not any(str(count.state) == "parked" for count in await postlude.inspector.counts()):
            await asyncio.sleep(0.02)
    await becomes(await postlude.add_task(holds, number=1), "running")
    await asyncio.sleep(0.5)
    os._exit(0)


async def waiting() -> None:
    """Jobs that wait: ready, blocked, for the year 2100, merged by a key, in a paused queue."""
    await postlude.open()
    await postlude.add_task(waits, 1)
    await postlude.add_task(waits.using(at=datetime(2100, 1, 1, tzinfo=UTC)), 2100)
    for number in (1, 2):
        await postlude.add_task(waits.using(key="once", queue="keyed"), 10 + number)
    for number in range(4):
        await postlude.add_task(one_at_a_time, f"tenant-{number % 2}", number)
    await postlude.add_task(waits.using(queue="quiet"), 20)
    await postlude.pause("quiet")
    await postlude.close()


PHASES = {"ended": ended, "left": left, "killed": killed, "waiting": waiting}

if __name__ == "__main__":
    import golden_shop  # type: ignore[import-not-found]  # by the name that its tasks have

    asyncio.run(golden_shop.PHASES[sys.argv[1]]())
