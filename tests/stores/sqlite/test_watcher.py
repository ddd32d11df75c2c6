"""How often a process looks for others' commits: less often while there are none."""

from collections.abc import Iterator

from postlude.stores.signals import Listeners, Said
from postlude.stores.sqlite.watcher import LOOK_EVERY, REST_AFTER, REST_EVERY, OthersCommits, Outlook, Watcher


class Naps:
    """The lock that the thread sleeps at: notes for how long, and ends it in the end."""

    def __init__(self, naps: int) -> None:
        self.seconds: list[float] = []
        self._left = naps

    def acquire(self, timeout: float) -> bool:
        self._left -= 1
        self.seconds.append(timeout)
        return self._left < 0

    def release(self) -> None: ...


class Heard(Listeners):
    """One listener, which notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Said] = []

    def __bool__(self) -> bool:
        return True

    def tell(self, said: Said) -> None:
        self.told.append(said)


def naps_of(index: Iterator[bytes], naps: int) -> tuple[list[float], Heard]:
    """Let a watcher run for so many looks at an index."""
    heard = Heard()
    commits = OthersCommits(lambda: next(index))
    commits.look()  # as at its start
    one = Watcher(commits, lambda: Outlook([], None, [], []), heard)
    one._over = over = Naps(naps)  # type: ignore[assignment]
    one._run()
    return over.seconds, heard


def test_while_nobody_writes_it_looks_half_as_often() -> None:
    seconds, heard = naps_of(iter([b"a"] * 100), 40)
    assert seconds == [LOOK_EVERY] * REST_AFTER + [REST_EVERY] * (41 - REST_AFTER)
    assert heard.told == []


def test_with_the_first_commit_it_looks_often_again() -> None:
    seconds, heard = naps_of(iter([b"a"] * 31 + [b"b"] * 69), 60)
    rests = slice(REST_AFTER, 31)
    assert set(seconds[rests]) == {REST_EVERY}
    assert seconds[31 : 31 + REST_AFTER] == [LOOK_EVERY] * REST_AFTER
    assert seconds[31 + REST_AFTER] == REST_EVERY
    assert len(heard.told) == 1
