"""Finding the ready jobs that a runner may claim: every queue in its turn, within bounds and pauses."""

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic_core import to_json

from postlude.model.bucket import Bucket
from postlude.model.job import Claim, Claimed
from postlude.model.state import Reason, Stored
from postlude.model.terms import NOTHING, Given
from postlude.stores.relational.concurrency import Entering, block, refill
from postlude.stores.relational.limits import UNLIMITED
from postlude.stores.relational.transaction import DamagedRow, Transaction
from postlude.stores.values import ClaimCall

MOST_LOOKED_AT: Final = 4000
"""Jobs that one claim looks at, where bounds and pauses let it claim only some of them."""

_AS_TEXT: Final = 0
_AS_HEX: Final = 1
"""How the statement `ready` gives the arguments."""

_ANY_BYTES: Final = "surrogateescape"
"""How bytes that are no text go through text unharmed."""


class Ready(NamedTuple):
    """A ready job, as the statement `ready` gives it."""

    seq: int
    id: str
    fence: int
    task: int
    queue: str
    failures: int
    suspect: int
    once: int
    created: int
    followed: int
    concurrency_key: str | None
    begun: int
    first_due: int | None
    given: list[Any] | None
    """Of the fields of `Given`; None: nothing is."""
    args: str


SEQ: Final = Ready._fields.index("seq")
TASK: Final = Ready._fields.index("task")
SUSPECT: Final = Ready._fields.index("suspect")
_QUEUE: Final = Ready._fields.index("queue")
_KEY: Final = Ready._fields.index("concurrency_key")
FOLLOWED: Final = Ready._fields.index("followed")


class Search:
    """One claim.

    Args:
        tx: the transaction.
        call: who claims how much.
        queues: those in which something is ready.
        turn: which queue has the first choice.
    """

    def __init__(self, tx: Transaction, call: ClaimCall, queues: Sequence[str], turn: int) -> None:
        self._tx = tx
        self._call = call
        self._queues = queues
        self._turn = turn
        self._rules = tx.rules
        self._unruled = self._rules.none
        self._free = UNLIMITED if call.free is None else sum(call.free)
        self._left = MOST_LOOKED_AT
        self._few: dict[int, int] = {}
        """By task's number, the group of tasks of which only few are taken."""
        self._few_left = [group.most for group in call.few]
        for place, group in enumerate(call.few):
            self._few.update(dict.fromkeys(tx.task_ids(group.tasks), place))
        none = [task for task, place in self._few.items() if self._few_left[place] <= 0]
        self._passed = {place for place, left in enumerate(self._few_left) if left <= 0}
        self._ready = ("ready_but", to_json(none).decode()) if none else ("ready",)
        """The statement that finds ready jobs, and which tasks' it leaves out."""
        self._paused: list[Entering] = []
        self._late: list[tuple[Ready, Bucket]] = []
        self.found: list[Sequence[Any]] = []
        """Rows with the fields of `Ready`."""
        self.limited: set[int] = set()
        self.following: set[int] = set()
        """Those found that came along with the one before them."""
        self.accompanied: set[int] = set()
        """Those found whose follower came along."""
        self._unseen: list[str] = []
        """Queues in which something is ready, and nothing was seen."""
        self.more = False

    def run(self) -> Claimed:
        """Claim what is found."""
        paused, wanted = self._rules.paused_queues, self._call.queues
        queues = [queue for queue in self._queues if queue in wanted and queue not in paused]
        if not queues:
            return Claimed([])
        self._find(queues)
        more = self.more or len(self.found) >= self._call.limit
        if self._call.behind and any(row[FOLLOWED] for row in self.found):
            self._bring_followers()
        claims = self._claim()
        self._block()
        more = more or self.more
        if not claims and not more and self._unseen and self._call.suspect and not self._few:
            raise DamagedRow(f"jobs are ready that nobody can claim, in {', '.join(self._unseen)}")
        again = min(self._next_starts(queues), default=None)
        return Claimed(claims, more, again, tuple(self._passed))

    def _next_starts(self, queues: list[str]) -> Iterator[int]:
        """Give the moments at which rates let more start of queues in which something waits."""
        for queue in queues:
            bucket = self._rules.queue_rates.get(queue)
            if bucket is not None and not bucket.allowed(self._tx.now) and self._tx.value("any_ready", queue):
                yield bucket.first(self._tx.now)

    def _find(self, queues: list[str]) -> None:
        if self._call.suspect:
            for queue in queues:
                self._look(queue, 1, 1, 0)
                if self.found:
                    break
        first = self._turn % len(queues)
        seen = dict.fromkeys(queues[first:] + queues[:first], 0)
        while seen and len(self.found) < self._call.limit:
            if self._left <= 0:
                self.more = True
                return
            # Each queue has the first choice in its turn, and an equal share while all have work.
            for left, queue in zip(range(len(seen), 0, -1), list(seen), strict=True):
                share = -(-(self._call.limit - len(self.found)) // left)
                looked = self._look(queue, 0, share, seen[queue])
                if looked is None:
                    del seen[queue]
                else:
                    seen[queue] += looked

    def _look(self, queue: str, suspect: int, share: int, offset: int) -> int | None:
        """Look at a queue's next jobs; returns how many it has looked at, or None if it is done with it."""
        most = min(share, self._allowed(queue)) if self._rules.bounded(queue) else share
        if most <= 0:
            return None
        rows = self._rows(*self._ready, queue, suspect, most, offset)
        self._left -= len(rows)
        if not rows and not offset and not suspect:
            self._unseen.append(queue)
        if self._unruled and not self._few and all(row[_KEY] is None for row in rows):
            self.found += rows  # nearly always
        else:
            for row in rows:
                if not self._admit(Ready._make(row)):
                    self.more = True
                    return None
        return len(rows) if len(rows) == most else None

    def _rows(self, statement: str, *which: Any) -> list[Any]:
        """Return rows with the fields of `Ready`."""
        try:
            return self._tx.rows(statement, *which, _AS_TEXT)
        except UnicodeDecodeError:
            # Arguments that no codec wrote, or that the disk has damaged, must not hold up their queue:
            # who decodes them parks the job.
            return [
                [*row, bytes.fromhex(args).decode("utf-8", _ANY_BYTES)]
                for *row, args in self._tx.rows(statement, *which, _AS_HEX)
            ]

    def _allowed(self, queue: str) -> int:
        """Return how many of a bounded queue may start now."""
        rules, tx = self._rules, self._tx
        allowed = UNLIMITED
        limit = rules.queue_limits.get(queue)
        if limit is not None:
            taken = sum(1 for row in self.found if row[_QUEUE] == queue)
            allowed = limit - tx.value("running_in_queue", queue) - taken
        bucket = rules.queue_rates.get(queue)
        if bucket is not None:
            allowed = min(allowed, bucket.allowed(tx.now))
        return allowed

    def _admit(self, row: Ready) -> bool:
        """Take a job, or set it aside; False if there is no room to start it."""
        rules, group = self._rules, self._few.get(row.task)
        if group is not None and self._few_left[group] <= 0:
            self._passed.add(group)
            return True
        if row.task in rules.paused_tasks:
            self._paused.append(_entering(row))
            return True
        bounded = rules.bounded(row.queue)
        bucket = rules.rates.get(row.task)
        if bounded or bucket is not None or row.concurrency_key is not None:
            if len(self.limited) >= self._free:
                return False
            if bucket is not None and not bucket.take(self._tx.now):
                self._late.append((row, bucket))
                return True
            if bounded and row.queue in rules.queue_rates:
                rules.queue_rates[row.queue].take(self._tx.now)
            self.limited.add(row.seq)
        if group is not None:
            self._few_left[group] -= 1
        self.found.append(row)
        return True

    def _bring_followers(self) -> None:
        """Put the jobs that follow those found behind them."""
        heads, self.found = self.found, []
        left = self._call.behind
        for head in heads:
            self.found.append(head)
            if head[FOLLOWED] and not head[SUSPECT] and left:
                run = self._run_behind(head, left)
                left -= len(run)
                self.following.update(row[SEQ] for row in run)
                self.found += run
                self.accompanied.update(row[SEQ] for row in [head, *run][:-1])

    def _run_behind(self, head: Sequence[Any], most: int) -> list[Any]:
        rules, run = self._rules, self._rows("followers", head[SEQ], most)
        for place, row in enumerate(run):
            if row[_QUEUE] != head[_QUEUE] or row[_KEY] is not None or rules.bound(row[TASK], row[_QUEUE]):
                return run[:place]
        return run

    def _claim(self) -> list[Claim]:
        tx, found, following, accompanied = self._tx, self.found, self.following, self.accompanied
        if not found:
            return []
        tx.run("claim", self._call.runner, to_json([row[SEQ] for row in found]).decode())
        tasks = Counter([(row[TASK], row[SEQ] in following) for row in found])
        for (task, follows), jobs in tasks.items():
            tx.count(task, Stored.BLOCKED if follows else Stored.READY, Stored.RUNNING, jobs)
        names = {task: tx.task_name(task) for task, _ in tasks}
        return claims_of(found, names, self.limited, following, accompanied)

    def _block(self) -> None:
        """Block what was met and may not start, and ready what waited for its place in a concurrency key."""
        tx = self._tx
        block(tx, self._paused, Reason.PAUSED)
        tx.run_for("block_until", [(row.seq, bucket.turn(tx.now)) for row, bucket in self._late])
        for task, jobs in Counter(row.task for row, _ in self._late).items():
            tx.count(task, Stored.READY, Stored.BLOCKED, jobs)
        left = [(row.task, row.concurrency_key) for row, _ in self._late if row.concurrency_key is not None]
        left += [(job.task, job.concurrency_key) for job in self._paused if job.concurrency_key is not None]
        if left:
            refill(tx, set(left))
        if self._late or self._paused:
            self.more = True


def claims_of(
    rows: Sequence[Sequence[Any]],
    names: Mapping[int, str],
    limited: Container[int] = (),
    following: Container[int] = (),
    accompanied: Container[int] = (),
) -> list[Claim]:
    """Return the claims of jobs.

    Args:
        rows: with the fields of `Ready`.
        names: of tasks, by their numbers.
        limited: jobs that a limit or a rate lets start.
        following: those that came along with the one before them.
        accompanied: those whose follower came along.
    """
    make = tuple.__new__  # all fields are given, and this is done for every job
    return [
        make(
            Claim,
            (
                seq, bytes.fromhex(id), fence, names[task], queue, args.encode("utf-8", _ANY_BYTES),
                failures, suspect == 1, once == 1, created,
                NOTHING if given is None else make(Given, given), seq in limited,
                seq in following, followed == 1 and seq not in accompanied, begun == 1, first_due,
            ),
        )
        for (
            seq, id, fence, task, queue, failures, suspect, once, created, followed, _, begun,
            first_due, given, args,
        ) in rows
    ]  # fmt: skip


def _entering(row: Ready) -> Entering:
    return Entering(row.seq, row.task, row.concurrency_key, Stored.READY)
