"""What the verbs of one group share: named statements, the time, task numbers and the tally."""

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Final

from postlude.model.failure import Failure
from postlude.model.history import MINUTE, Sums
from postlude.model.state import FINAL, MOVES, Stored
from postlude.stores.relational.limits import Rules
from postlude.stores.signals import Said
from postlude.stores.values import GONE, LEFT

_FIRST_FINAL: Final = min(FINAL)


class DamagedRow(Exception):
    """A row of the journal cannot be what it is; nothing else tells of it."""


class Transaction(ABC):
    """One group of writes.

    Args:
        now: wall time.
        names: task numbers that are known so far; kept over transactions.
        rules: bounds and pauses, if nobody has written since they were read.
    """

    __slots__ = (
        "_deltas", "_left", "afterwards", "known_rules", "names", "now", "otherwise", "said", "sums", "waits",
    )  # fmt: skip

    APART: ClassVar[bool] = False
    """Whether sums of jobs that came, which have no times, have a statement of their own (`add_numbers`)."""

    def __init__(self, now: int, names: dict[str, int], rules: Rules | None = None) -> None:
        self.now = now
        self.names = names
        self.afterwards: list[Callable[[], None]] = []
        """What is to be done once it is committed, and not otherwise."""
        self.otherwise: list[Callable[[], None]] = []
        """What is to be done if it is not stored, once that is certain."""
        self._deltas: defaultdict[tuple[int, int], int] = defaultdict(int)
        self._left: Counter[tuple[int, str]] = Counter()
        """Jobs that had ended and are deleted, or run again: what `Totals` are made of beside the tally."""
        self.sums = Sums[int]()
        """What happens in it, by tasks' numbers."""
        self.said = Said()
        """What there is to tell once it is committed."""
        self.waits = False
        """Whether jobs have begun to wait for a time."""
        self.known_rules = rules
        """What `rules` has read; None: it is to be read, again or for the first time."""

    @property
    def rules(self) -> Rules:
        """Bounds and pauses; read when first asked for."""
        if self.known_rules is None:
            self.known_rules = self._read_rules()
        return self.known_rules

    def forget_rules(self) -> None:
        """Read them again: they have been changed. First writes how far rates are used up."""
        self._write_rates()
        self.known_rules = None

    @abstractmethod
    def run(self, name: str, *bindings: Any) -> int:
        """Run a statement that returns nothing; says how many rows it has changed."""

    @abstractmethod
    def value(self, name: str, *bindings: Any) -> Any:
        """Run a statement that returns one row at most: its value, or its values if these are several."""

    @abstractmethod
    def rows(self, name: str, *bindings: Any) -> list[Any]:
        """Run a statement that returns rows."""

    @abstractmethod
    def run_for(self, name: str, rows: Sequence[Iterable[Any]]) -> int:
        """Run a statement for many rows; returns how many it has changed."""

    @abstractmethod
    def insert_jobs(
        self, name: str, rows: Sequence[Iterable[Any]], payloads: Sequence[bytes]
    ) -> Sequence[int]:
        """Insert jobs and their arguments; returns their numbers, in this order."""

    @abstractmethod
    def upcoming(self, jobs: int) -> Sequence[int]:
        """Return the numbers that the jobs will have that are inserted next."""

    @abstractmethod
    def _read_rules(self) -> Rules: ...

    @abstractmethod
    def _reload(self) -> None:
        """Read all task numbers."""

    @abstractmethod
    def _begin_anew(self) -> None:
        """Roll back and begin again."""

    def task_id(self, name: str) -> int:
        """Return a task's number, giving it one if it is new."""
        known = self.names.get(name)
        return known if known is not None else self._learn(name)

    def task_ids(self, names: Iterable[str]) -> list[int]:
        """Return the numbers of those tasks that are known to have one."""
        if not self.names:  # nothing was read yet, or it was forgotten with a group that was undone
            self._reload()
        return [self.names[name] for name in names if name in self.names]

    def task_name(self, number: int) -> str:
        """Return the name behind a task's number."""
        for name, known in self.names.items():
            if known == number:
                return name
        self._reload()
        return next(name for name, known in self.names.items() if known == number)

    def note_failures(self, failures: Sequence[tuple[int, Failure]]) -> None:
        """Note what jobs that have failed (`seq`) are grouped by."""
        if failures:
            self.run_for("add_failure_kinds", sorted({failure for _, failure in failures}))
            self.run_for("add_failures", [(seq, *failure) for seq, failure in failures])

    def count(self, task: int, before: Stored | None, after: Stored | None, jobs: int = 1) -> None:
        """Note for the tally that jobs of a task change their state."""
        if before is not None:
            assert after is None or after in MOVES[before], f"no job goes from {before!r} to {after!r}"
            self._deltas[task, before] -= jobs
            if before >= _FIRST_FINAL:
                self._left[task, LEFT + before.name.lower()] += jobs
                if after is None:
                    self._left[task, GONE] += jobs
        if after is not None:
            self._deltas[task, after] += jobs
            if after is Stored.READY:
                self.said.anew = True
            elif after is Stored.SCHEDULED or after is Stored.BLOCKED:
                self.waits = True
            if before is Stored.BLOCKED or (before is Stored.READY and after is Stored.BLOCKED):
                self.said.changed = True

    def restart(self) -> None:
        """Undo what the transaction has done so far and begin again."""
        self._deltas.clear()
        self._left.clear()
        self.sums.clear()
        self.known_rules = None
        self._begin_anew()

    def finish(self) -> None:
        """Write the tally and the rates; the last thing before the commit."""
        if self.waits and (due := self.value("next_due")) is not None:
            self.said.wait_until(due)
        self._write_rates()
        rows = [(task, int(state), n) for (task, state), n in self._deltas.items() if n]
        if rows:
            self.run_for("add_stats", rows)
        if self._left:
            self.run_for("add_left", [(task, "", state, jobs) for (task, state), jobs in self._left.items()])
        if self.sums.cells:
            numbers, measured = self.sums.rows(self.now // MINUTE, apart=self.APART)
            if numbers:
                self.run_for("add_numbers", numbers)
            if measured:
                self.run_for("add_sums", measured)

    def settle(self, stored: bool) -> None:
        """It is committed, or never will be: do what was to be done then."""
        for call in self.afterwards if stored else self.otherwise:
            call()

    def _write_rates(self) -> None:
        for bucket in self.known_rules.used() if self.known_rules is not None else ():
            self.run("use_rate", *bucket.name, *bucket.keep())

    def _learn(self, name: str) -> int:
        self.run("add_task_name", name)
        self._reload()
        return self.names[name]
