"""A store of a page or two, which nobody should use: it shows what a durable store has to bring along itself.

What has been committed is a log of calls; what it comes to is a memory store that has heard them all. So a
transaction that is undone, a lost connection and another process are the log, heard once more.
"""

import copy
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, cast

from postlude.clock import Clock, ManualClock
from postlude.errors import PostludeError
from postlude.model.job import Hold
from postlude.stores.grouped.backend import Applied, Conflict, ReleaseCall, Uncertain, Verb
from postlude.stores.grouped.reading import Reader
from postlude.stores.grouped.store import GroupedStore
from postlude.stores.memory import MemoryStore
from postlude.stores.signals import Listeners, Said


class Entry(NamedTuple):
    """One group that was committed."""

    now: int
    boot: int
    marks: dict[int, Any]
    """By runners' numbers, what they had noted as started when it began."""
    calls: list[tuple[Verb, Any]]


class Disk:
    """What outlives a store and its process: the log, and what runners have noted."""

    def __init__(self) -> None:
        self.log: list[Entry] = []
        self.marks: dict[int, Any] = {}

    def entry(self, clock: Clock) -> Entry:
        """Return one that begins now."""
        marks = {number: copy.deepcopy(vars(marks)) for number, marks in self.marks.items()}
        return Entry(clock.now(), clock.boot(), marks, [])


class GroupClock:
    """The time of the group that is written, or heard again."""

    def __init__(self) -> None:
        self.times = 0, 0

    def now(self) -> int:
        return self.times[0]

    def boot(self) -> int:
        return self.times[1]


class Later(Listeners):
    """Keeps what there is to tell until the group that it is of has been written."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[Said] = []

    def tell(self, said: Said) -> None:
        self.said.append(said)


class LogBackend:
    """Applies calls to a memory store, and keeps them in a log.

    Args:
        disk: what outlives it.
        clock: the time.
        listeners: told of what groups have done.
        lose: says of each commit whether the connection is lost in it: `"stored"`, `"gone"`, `""`: not; or
            `"conflict"`: others are in the way.
    """

    def __init__(self, disk: Disk, clock: Clock, listeners: Listeners, lose: Callable[[], str]) -> None:
        self._disk, self._log, self._clock, self._lose = disk, disk.log, clock, lose
        self._later, self._listeners = Later(), listeners
        self._time = GroupClock()
        self._open: Entry | None = None
        self._lost: Entry | None = None
        self.turns = threading.RLock()
        self._log.append(disk.entry(clock))
        self.memory = self._heard()

    beside_others: Collection[Verb] = ()

    def beside(self, calls: Sequence[tuple[Verb, Any]]) -> list[Any] | None:
        return None

    def acquire(self) -> None: ...

    def release(self) -> None:
        while self._later.said:
            self._listeners.tell(self._later.said.pop(0))

    def begin(self, jobs: int = 0) -> None:
        self.turns.acquire()
        self._open = self._disk.entry(self._clock)
        self._time.times = self._open[:2]

    def apply(self, verb: Verb, arguments: Sequence[Any]) -> list[Any]:
        assert self._open is not None
        self._open.calls.extend((verb, argument) for argument in arguments)
        answers = [_call(self.memory, verb, argument) for argument in arguments]
        if verb is Verb.ENLIST:
            self._disk.marks.update({enlisted.runner: enlisted.marks for enlisted in answers})
        return answers

    def commit(self) -> None:
        assert self._open is not None
        lost = self._lose()
        if lost == "conflict":
            raise Conflict("others were in the way")
        if lost != "gone":
            self._log.append(self._open)
        if lost:
            self._lost = self._open
            raise Uncertain("the connection is lost")
        self._close()

    def settled(self, group: Sequence[Applied]) -> bool:
        return self._log[-1] is self._lost

    def rollback(self) -> None:
        if self._open is not None:
            self.memory = self._heard()
            self._close()

    def disown(self, results: Sequence[Any]) -> None:
        self.begin()
        rows = [self.memory._shelves.rows[one.seq] for added in results for one in added if not one.joined]
        held = [ReleaseCall(row.runner, [Hold(row.seq, row.fence)]) for row in rows if row.runner]
        self.apply(Verb.RELEASE, held)
        self.apply(Verb.CANCEL, [[row.job.id] for row in rows])
        self.commit()

    def repair(self, error: Exception) -> bool:
        return False

    def tidy(self) -> None: ...

    def close(self) -> None: ...

    def _close(self) -> None:
        self._open = None
        self._time.times = self._clock.now(), self._clock.boot()
        self.turns.release()

    def _heard(self) -> MemoryStore:
        """Return what the log comes to."""
        memory = MemoryStore(self._time)
        for entry in self._log:
            self._time.times = entry[:2]
            if not entry.calls:  # it was opened: the process before has died, or has closed it
                for runner in memory._runners.values():
                    runner._until = -1
            for number, runner in memory._runners.items():
                vars(runner.marks).update(copy.deepcopy(entry.marks[number]))
            for verb, argument in entry.calls:
                _call(memory, verb, argument)
        for number, runner in memory._runners.items():
            runner.marks = self._disk.marks[number]
        memory._lock._listeners = self._later
        return memory


def _call(memory: MemoryStore, verb: Verb, argument: Any, **by: Any) -> Any:
    call: Any = getattr(memory, verb.name.lower(), None)
    match verb:
        case Verb.ADD:
            reply = call(argument[0], claim_for=argument[1], **by)
        case Verb.ACT:
            return _call(memory, argument.verb, argument.argument, by=argument.by)
        case Verb.UNPARK:
            reply = call(argument[0], suspects=argument[1])
        case Verb.REAP | Verb.PROMOTE | Verb.FIRE | Verb.FOLD:
            reply = call()
        case Verb.WITHDRAW:
            reply = call(*argument)
        case (
            Verb.PUBLISH | Verb.CLAIM | Verb.RELEASE | Verb.RENEW | Verb.RETIRE | Verb.LEAD
            | Verb.DECLARE_SCHEDULES | Verb.RUN_SCHEDULE
        ):  # fmt: skip
            reply = call(**argument._asdict(), **by)
        case _:
            reply = call(argument, **by)
    if isinstance(reply.error, PostludeError):
        return reply.error
    return reply.result()


class Looks:
    """Every look, when no group is being written."""

    def __init__(self, backend: LogBackend, clock: Clock) -> None:
        self._backend, self._clock = backend, clock

    def close(self) -> None: ...

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def look(*asked: Any) -> Any:
            with self._backend.turns:
                self._backend._time.times = self._clock.now(), self._clock.boot()
                return getattr(self._backend.memory, name)(*asked).result()

        return look


class LogStore(GroupedStore):
    """The store.

    Args:
        disk: what outlives it.
        clock: the time.
        lose: see `LogBackend`.
    """

    location = "a log"

    def __init__(self, disk: Disk, clock: ManualClock, lose: Callable[[], str] = str) -> None:
        super().__init__()
        self._backend = LogBackend(disk, clock, self._listeners, lose)
        self._looks = Looks(self._backend, clock)
        self.now = clock.now

    def connect(self) -> tuple[LogBackend, Reader]:
        return self._backend, cast(Reader, self._looks)
