"""A worker, from its start to its exit code."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postlude.telemetry.startup_log import speak_up
from postlude.worker import process
from postlude.worker.health import Health, HealthServer, keep_file
from postlude.worker.orders import Orders
from postlude.worker.parent import Parent
from postlude.worker.reloading import checked_watcher, watch
from postlude.worker.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class Settings:
    """What the parent of a worker's processes does."""

    processes: int = 1
    """How many there are; 0: none, the parent itself runs jobs."""
    reload: bool = False
    """Start the process afresh when a Python file changes."""
    health: tuple[str, int] | None = None
    """Where it tells over HTTP how it is."""
    health_file: Path | None = None
    """A file that is there, and young, while it runs jobs."""


def work(orders: Orders, settings: Settings) -> int:
    """Be a worker; returns the exit code.

    Raises:
        PostludeError: the place for its health is taken, or what watches files is not installed.
    """
    if settings.reload:
        checked_watcher()
    if not settings.processes:
        return process.main(orders, Parent())
    speak_up()
    return asyncio.run(_supervise(orders, settings))


async def _supervise(orders: Orders, settings: Settings) -> int:
    supervisor = Supervisor(orders, settings.processes, waits_for_changes=settings.reload)
    hear_signals(supervisor)
    health = Health(supervisor)
    beside: list[Coroutine[Any, Any, None]] = []
    with ExitStack() as stack:
        if settings.health is not None:
            stack.callback(HealthServer(health, *settings.health).close)
        if settings.health_file is not None:
            beside.append(keep_file(health, settings.health_file))
        if settings.reload:
            beside.append(watch(Path(orders.directory), supervisor.renew))
        tasks = [asyncio.get_running_loop().create_task(each) for each in beside]
        try:
            return await supervisor.run()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def hear_signals(supervisor: Supervisor) -> None:
    """Let signals do what they are for; without handlers, process 1 of a container would not hear them."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop, number.name, 128 + number)
    hang_up = signal.SIGHUP
    if signal.getsignal(hang_up) is signal.SIG_IGN:  # nohup
        return
    if _has_terminal():  # which is gone then
        loop.add_signal_handler(hang_up, supervisor.stop, hang_up.name, 128 + hang_up)
    else:
        loop.add_signal_handler(hang_up, supervisor.renew)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
