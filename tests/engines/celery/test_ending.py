"""How a worker that is told to end does: within its grace, whatever hangs."""

import os
import signal
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from celery import signals
from celery.worker import state

from postlude.engines.celery import ending
from postlude.engines.celery.board import Board
from postlude.engines.celery.ending import WorkerEnd

LONG = 600.0


class Watched:
    """A worker of Celery's that does not end by itself, in threads."""

    def __init__(self, grace: float, busy: int) -> None:
        self.board = Board()
        self.board.busy = busy
        self.left = threading.Event()
        self.over = threading.Event()
        end = WorkerEnd(grace, self.over.set)
        end.watch(SimpleNamespace(hostname="w@host"), self.board, self.left.set)

    def send(self, number: int) -> None:
        os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its waits are short, and the signals are the tests' again."""
    for name, seconds in (("IDLE_WITHIN", 0.02), ("EXIT_WITHIN", 0.0), ("LOOK_EVERY", 0.005)):
        monkeypatch.setattr(ending, name, seconds)
    monkeypatch.setattr(state, "should_stop", None)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_celery_is_told_as_by_its_own_warm_shutdown(number: int) -> None:
    told: list[tuple[str, str]] = []

    def hear(sig: str, how: str, **_: Any) -> None:
        told.append((sig, how))

    signals.worker_shutting_down.connect(hear)
    worker = Watched(LONG, busy=1)
    worker.send(number)
    assert told == [(signal.Signals(number).name, "Warm")]
    assert state.should_stop == 0
    assert worker.board.told
    worker.send(number)
    assert worker.over.wait(5)


def test_one_that_runs_nothing_ends_although_its_grace_is_long() -> None:
    worker = Watched(LONG, busy=0)
    worker.send(signal.SIGTERM)
    assert worker.over.wait(5)
    assert worker.left.is_set()


@pytest.mark.parametrize("busy", [1, -1], ids=["it runs one", "nobody knows"])
def test_one_that_runs_jobs_has_its_grace(busy: int) -> None:
    worker = Watched(0.2, busy)
    worker.send(signal.SIGTERM)
    assert not worker.left.wait(0.1)
    assert worker.over.wait(5)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_second_signal_ends_it_at_once(second: int) -> None:
    worker = Watched(LONG, busy=1)
    worker.send(signal.SIGTERM)
    assert not worker.left.wait(0.05)
    worker.send(second)
    assert worker.over.wait(5)


def test_sigquit_ends_it_at_once() -> None:
    worker = Watched(LONG, busy=1)
    worker.send(signal.SIGQUIT)
    assert worker.over.wait(5)


def test_another_process_than_the_workers_own_does_not_hear(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Watched(0.0, busy=0)
    own = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: own + 1)
    os.kill(own, signal.SIGTERM)
    assert not worker.board.told
