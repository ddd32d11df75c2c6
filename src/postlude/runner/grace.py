"""The grace period: how long an end waits for jobs, and what is said meanwhile."""

import asyncio
from collections.abc import Coroutine, Mapping

from postlude.runner.attempt.work import Work, counted, named
from postlude.telemetry.log import Log
from postlude.telemetry.startup_log import announce, count_of

log = Log("postlude.runner")


async def wait_within(grace: float, idle: Coroutine[None, None, None], held: Mapping[int, Work]) -> None:
    """Wait until a runner is idle, for so many seconds; say first what is waited for.

    Args:
        grace: seconds.
        idle: returns when nothing is held any more.
        held: what is.
    """
    if held and grace:
        jobs = count_of(len(held), "job", "jobs")
        announce(f"waiting up to {grace:g} s (Config.grace) for {jobs}: {named(held.values())}")
    try:
        await asyncio.wait_for(idle, grace)
    except TimeoutError:
        log.warning("released, as the grace period was over: %s", counted(held.values()))
