"""What is lost when a process is killed: the web process, the worker, the broker or database; counted.

A job takes a tenth of a second, four run at once where that can be set, and a supervisor starts again what
has died. Every kill is SIGKILL, of the process and of all that it has started.
"""

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from typing import Final

from bench.peers import record
from bench.peers.figures import Outcome
from bench.peers.running import STARTS_WITHIN, Running, Servers
from bench.peers.systems import System

WORK: Final = 0.1
"""Seconds that a job takes."""

AT_ONCE: Final = 4
JOBS: Final = 60
WINDOW: Final = 30.0
"""Seconds that jobs have to run in after a kill, if nothing else is said of a system."""

Counted = dict[str, float | int | None]
"""An `Outcome`, as it is stored."""

ADDED_FOR: Final = 12.0
"""Seconds that jobs are added after a worker was killed."""

BACK_AFTER: Final = 0.5
"""Seconds until what was killed is started again."""


class Client:
    """Adds jobs by the web process, from some threads, until it is told to stop.

    Args:
        running: whose web process.
        per_second: how many requests it makes in all.
    """

    THREADS: Final = 4

    def __init__(self, running: Running, per_second: float) -> None:
        self.accepted: set[int] = set()
        self._running, self._pause = running, self.THREADS / per_second
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._add, daemon=True) for _ in range(self.THREADS)]
        for thread in self._threads:
            thread.start()

    def _add(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._running.port, timeout=5)
        while not self._over.wait(self._pause):
            try:
                connection.request("POST", "/add")
                answer = connection.getresponse()
                body = answer.read()
                if 200 <= answer.status < 300:
                    self.accepted.add(int(json.loads(body)["number"]))
            except (OSError, http.client.HTTPException):
                connection.close()
        connection.close()

    def wait_for_first(self) -> None:
        """Wait until a job was accepted: the first one may have to import and connect."""
        until = time.monotonic() + 30.0
        while not self.accepted and time.monotonic() < until:
            time.sleep(0.02)

    def stop(self) -> set[int]:
        """Stop; returns the jobs that were answered 2xx."""
        self._over.set()
        for thread in self._threads:
            thread.join(10)
        return self.accepted


def of(system: System) -> list[str]:
    """Return what can be killed of a system: `web`, `worker`, and its servers by their names."""
    if not system.jobs and system.name != "native":
        return []  # it has no jobs
    servers = [name for name in (system.store, system.broker) if name not in (None, "memory", "sqlite")]
    return ["web", *(["worker"] if system.worker else []), *map(str, servers)]


def counted(system: System, mode: str, what: str) -> Counted:
    """Kill one thing of a system once, and count what becomes of its jobs; its servers are its own."""
    servers = Servers()
    try:
        with Running(system, mode, servers, WORK, AT_ONCE) as running:
            if what == "web":
                accepted, killed = _web(running)
            elif what == "worker":
                accepted, killed = _worker(running)
            else:
                accepted, killed = _server(running, what)
            if not accepted:
                raise RuntimeError(f"no request was answered 2xx\n{running.said()}")
            window = system.window if mode == "durable" else WINDOW
            until = time.monotonic() + window
            while not all(map(record.read(running.record).ends.__getitem__, accepted)):
                if time.monotonic() > until:
                    break
                time.sleep(0.1)
            else:
                time.sleep(1.0)  # what is begun again, although it has ended, shows
            running.kill_worker()
            running.kill_web()
            seen = record.read(running.record)
            left = 0
            if any(not seen.ends[number] for number in accepted):
                with suppress(RuntimeError):
                    left = running.left()
            return asdict(Outcome.of(accepted, seen, left, killed))
    finally:
        servers.close()


def _web(running: Running) -> tuple[set[int], float]:
    """Kill the web process while clients add jobs."""
    if not running.system.in_process:
        running.start_worker()
    running.start_web()
    client = Client(running, 60.0)
    client.wait_for_first()
    time.sleep(1.5)
    killed = time.monotonic()
    running.kill_web()
    accepted = client.stop()
    time.sleep(BACK_AFTER)
    running.start_web(first=10_000)
    return accepted, killed


def _worker(running: Running) -> tuple[set[int], float]:
    """Kill the worker while it runs jobs. More are added later: some look for what is left only then."""
    if not running.system.in_process:
        running.start_web(first=10_000)
    running.fill(JOBS)
    running.start_worker()
    running.wait_for(JOBS // 4, STARTS_WITHIN)
    for _ in range(5):
        running.kill_worker_at_work()
        killed = time.monotonic()
        time.sleep(BACK_AFTER)
        cut_short = record.read(running.record).busy
        running.start_worker()
        if cut_short:
            break
    else:
        raise RuntimeError("the worker was killed five times, and no job was cut short")
    accepted = set(range(JOBS))
    if not running.system.in_process:
        client = Client(running, 2.0)
        time.sleep(ADDED_FOR)
        accepted |= client.stop()
    return accepted, killed


def _server(running: Running, what: str) -> tuple[set[int], float]:
    """Kill a broker or a database while jobs wait, run and are added."""
    running.start_web(first=10_000)
    first = Client(running, 20.0)
    first.wait_for_first()
    accepted = first.stop() | set(range(JOBS))
    running.fill(JOBS)
    if not running.system.in_process:
        running.start_worker()
    running.wait_for(JOBS // 10, STARTS_WITHIN)
    # A web process that runs its jobs itself has run most of these by now: it gets more than it can run.
    client = Client(running, 60.0 if running.system.in_process else 20.0)
    time.sleep(1.0 if running.system.in_process else 0.3)
    killed = time.monotonic()
    running.servers.kill(what, running.durable)
    time.sleep(BACK_AFTER)
    # Adding ends soon, however long the server takes to start: else those that go on without it have more
    # to do.
    starting = threading.Thread(target=running.servers.get(what, running.durable).start)
    starting.start()
    time.sleep(1.5)
    accepted |= client.stop()
    starting.join()
    return accepted, killed


def all_counted(tasks: list[tuple[System, str, str]], at_once: int) -> list[Counted | str]:
    """Count several, some at once: most of the time they wait. An error stands as its text."""

    # Those that may wait longest first, so that they do not come alone at the end.
    order = sorted(tasks, key=lambda task: -(task[0].window if task[1] == "durable" else WINDOW))

    def one(task: tuple[System, str, str]) -> Counted | str:
        try:
            found: Counted | str = counted(*task)
        except Exception as error:  # what fails of one must not take the others along
            found = f"{type(error).__name__}: {error}"
        print(f"{task[0].name} {task[1]}, {task[2]} killed: {found}", flush=True)
        return found

    with ThreadPoolExecutor(at_once) as pool:
        found = dict(zip(order, pool.map(one, order), strict=True))
    return [found[task] for task in tasks]
