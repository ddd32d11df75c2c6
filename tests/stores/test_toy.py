"""A store of a page or two passes the suite, also when most of its commits are lost: the seams are real."""

from itertools import cycle

import pytest

from postlude.clock import ManualClock
from postlude.stores.grouped import committing
from postlude.stores.protocol import Store
from postlude.testing.conformance import StoreBench, StoreConformance
from tests.stores.toy import Disk, LogStore


class LogBench(StoreBench):
    def __init__(self, *loses: str) -> None:
        self._disk = Disk()
        self._loses = cycle(loses or [""])
        self._next: list[str] = []

    def make(self, clock: ManualClock) -> Store:
        return LogStore(self._disk, clock, lambda: self._next.pop() if self._next else next(self._loses))

    def lose_commit(self, store: Store, how: str) -> None:
        self._next = [how]

    def reopen(self, store: Store, clock: ManualClock) -> Store | None:
        store.close()
        return self.make(clock)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committing, "PAUSE", 0.0)


class TestLog(StoreConformance):
    @pytest.fixture
    def bench(self) -> StoreBench:
        return LogBench()


@pytest.mark.slow
class TestLogThatIsLost(StoreConformance):
    """What is asked is there, once, whatever has become of the commits that were lost."""

    @pytest.fixture
    def bench(self) -> StoreBench:
        return LogBench("", "stored", "conflict", "gone", "")
