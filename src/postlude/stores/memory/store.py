"""The verbs of the memory store, under one lock. Every answer is there when the verb returns."""

import os
import socket
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from postlude.clock import SECOND, Clock
from postlude.config import AUDIT_SECONDS, Keep
from postlude.errors import KeyTaken
from postlude.model.counted import Counted
from postlude.model.crash import LOST, STOPPED, End
from postlude.model.job import (
    Added,
    Cancel,
    Claimed,
    Few,
    FreeSlots,
    Hold,
    NewJob,
    ProgressNote,
)  # fmt: skip
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import Finish
from postlude.model.queues import ALL, Queues
from postlude.model.refusal import Refusal, all_refused
from postlude.model.state import Stored
from postlude.stores.memory import finish as endings
from postlude.stores.memory import limits as rules
from postlude.stores.memory import outgoing, upkeep
from postlude.stores.memory.add import Intake
from postlude.stores.memory.claim import Draw
from postlude.stores.memory.looks import Looks
from postlude.stores.memory.row import NOBODY, Row
from postlude.stores.memory.runners import MemoryRunner
from postlude.stores.memory.schedules import ScheduleVerbs
from postlude.stores.outgoing import Outgoing, PublishCall
from postlude.stores.protocol import Enlisted, NewRunner, Pause, Promoted, Reaped
from postlude.stores.reply import Reply
from postlude.stores.signals import Listeners, Signals
from postlude.stores.values import Asked, ClaimCall, Deed
from postlude.telemetry.logging import logged

T = TypeVar("T")


class MemoryStore(Looks, ScheduleVerbs):
    """A `Store` that lives and dies with its process. Safe from any thread.

    Its runners share its process, so none dies unseen; their leases run out all the same, by the clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._listeners = Listeners()
        super().__init__(clock, self._listeners)
        self.events, self.now = logged(), clock.now
        self._intake = Intake(self._shelves, self._rules)

    @property
    def location(self) -> str:
        """Where it is, for people."""
        return "memory"

    def open(self) -> None:
        """Nothing has to be opened."""

    def close(self) -> None:
        """Nothing has to be closed."""

    def entrance(self) -> None:
        """No transaction of a database reaches it."""

    def tell_commits(self, call: Callable[[], None]) -> None:
        """Nothing goes to a disk."""

    def untell_commits(self, call: Callable[[], None]) -> None:
        """So nothing is to be ended."""

    def add(
        self,
        jobs: Sequence[NewJob],
        *,
        claim_for: int | None = None,
        budget: float | None = None,
        by: Deed | None = None,
    ) -> Reply[list[Added]]:
        with self._lock:
            refused = self._intake.refusal(jobs)
            if refused is not None:
                return Reply.failed(refused)
            if by is not None:
                return Reply.of(self._noted(by, self._intake.queue(jobs, self._clock.now())))
            runner = None if claim_for is None else self._runners.get(claim_for)
            if runner is not None and self._intake.may_bear(jobs, runner):
                return Reply.of(self._intake.bear(jobs, runner, self._clock.now()))
            return Reply.of(self._intake.queue(jobs, self._clock.now()))

    def free(self, seqs: Sequence[int]) -> Reply[int]:
        return self._locked(lambda: self._shelves.free(seqs))

    def cancel(self, ids: Sequence[bytes], by: Deed | None = None) -> Reply[list[Cancel]]:
        with self._lock:
            now, by_id = self._clock.now(), self._shelves.by_id
            return Reply.of(
                self._noted(by, [endings.cancel(self._shelves, by_id.get(id), now) for id in ids])
            )

    def retry(self, ids: Sequence[bytes], by: Deed | None = None) -> Reply[list[bool]]:
        with self._lock:
            try:
                return Reply.of(self._noted(by, self._intake.retry(ids, self._clock.now())))
            except KeyTaken as taken:
                return Reply.failed(taken)

    def pause(self, what: Pause, by: Deed | None = None) -> Reply[bool]:
        return self._locked(lambda: self._noted(by, rules.pause(self._shelves, self._rules, what)))

    def resume(self, what: Pause, by: Deed | None = None) -> Reply[bool]:
        return self._locked(lambda: self._noted(by, rules.resume(self._shelves, self._rules, what)))

    def enlist(self, runner: NewRunner) -> Reply[Enlisted]:
        with self._lock:
            new = self._runners.enlist(runner, self._clock.boot(), self._clock.now())
            return Reply.of(Enlisted(new.number, new.marks))

    def claim(
        self, runner: int, limit: int, *, suspect: bool, free: FreeSlots | None = None, behind: int = 0,
        few: Sequence[Few] = (), queues: Queues = ALL, ids: Sequence[bytes] | None = None,
        ahead: bool = False,
    ) -> Reply[Claimed]:  # fmt: skip
        with self._lock:
            holder = self._runners.get(runner)
            if holder is None:
                return Reply.of(Claimed([], refused=all_refused(ids, Refusal.BURIED)))
            call = ClaimCall(runner, limit, suspect, free, behind, few, queues, ids, ahead)
            draw = Draw(self._shelves, self._rules, self._runners.values(), holder, self._clock, call)
            return Reply.of(draw.run() if ids is None else draw.pick(ids, start=not ahead))

    def declare(self, bounds: Sequence[DeclaredLimits]) -> Reply[None]:
        return self._locked(lambda: rules.declare(self._shelves, self._rules, bounds, self._clock.now()))

    def asked(self, runner: int) -> Reply[Asked]:
        with self._lock:
            stop = [row.seq for row in self._runners.held(runner) if row.cancel_asked is not None]
            return Reply.of(Asked(stop, self._runners.is_orphan(runner)))

    def lead(self, runner: int, duty: str, seconds: float) -> Reply[bool]:
        return self._locked(lambda: self._runners.lead(runner, duty, seconds, self._clock.boot()))

    def progress(self, notes: Sequence[ProgressNote]) -> Reply[None]:
        with self._lock:
            for seq, fence, progress in notes:
                row = self._shelves.rows.get(seq)
                if row and row.fence == fence and (row.stored is Stored.RUNNING or row.stored.final):
                    row.progress = progress
            return Reply.of(None)

    def renew(self, runner: int, *, hears: bool | None = None) -> Reply[bool]:
        with self._lock:
            holder = self._runners.get(runner)
            if holder is not None:
                holder.renew(self._clock.boot(), hears)
            return Reply.of(holder is not None)

    def holds(self, runner: int) -> Reply[list[Hold]]:
        return self._locked(lambda: [Hold(row.seq, row.fence) for row in self._runners.held(runner)])

    def release(self, runner: int, holds: Sequence[Hold]) -> Reply[int]:
        with self._lock:
            holder, now = self._runners.get(runner), self._clock.now()
            released: dict[int, Row] = {}
            for hold in holds if holder is not None else ():
                row = holder.held.get(hold.seq) if holder is not None else None
                if row is not None and row.fence == hold.fence:
                    self._let_go(row)
                    if hold.started is not None:
                        endings.note_release(self._shelves, row, hold.started, now)
                    endings.give_back(self._shelves, row, now)
                    released[hold.seq] = row
            endings.block_behind(self._shelves, holds, released)
            return Reply.of(len(released))

    def finish(self, finishes: Sequence[Finish]) -> Reply[list[bool]]:
        written: list[bool] = []
        with self._lock:
            now = self._clock.now()
            for finish in finishes:
                row = self._shelves.rows.get(finish.seq)
                accepted = row is not None and endings.may_finish(row, finish.fence)
                if row is not None and accepted:
                    holder = self._runners.get(row.runner)
                    self._let_go(row)
                    release = "" if holder is None else holder.new.release
                    endings.write_finish(self._shelves, row, finish, now, release)
                written.append(accepted)
        return Reply.of(written)

    def retire(self, runner: int, *, draining: bool) -> Reply[int]:
        with self._lock:
            holder = self._runners.get(runner)
            if holder is None:
                return Reply.of(0)
            held = len(holder.held)
            self._bury(holder, STOPPED, draining=draining)
            return Reply.of(held)

    def reap(self) -> Reply[Reaped]:
        with self._lock:
            boot = self._clock.boot()
            dead = [runner for runner in self._runners.values() if runner.lapsed(boot)]
            ends = [self._bury(runner, LOST, draining=False) for runner in dead]
            return Reply.of(
                Reaped(len(dead), sum(end.released for end in ends), sum(end.ended for end in ends))
            )

    def promote(self) -> Reply[Promoted]:
        with self._lock:
            now = self._clock.now()
            rules.follow_clock(self._shelves, self._rules, now)
            return Reply.of(upkeep.promote(self._shelves, now))

    def paused(self) -> Reply[list[Pause]]:
        return self._locked(lambda: list(self._rules.pauses))

    def parked(self) -> Reply[list[tuple[str, str]]]:
        return self._locked(lambda: list(self._shelves.parked))

    def unpark(self, pairs: Collection[tuple[str, str]], *, suspects: bool = True) -> Reply[int]:
        return self._locked(lambda: upkeep.unpark(self._shelves, pairs, suspects))

    def prune(self, keep: Keep, by: Deed | None = None) -> Reply[int]:
        return self._locked(lambda: self._noted(by, upkeep.prune(self._shelves, keep, self._clock.now())))

    def fold(self) -> Reply[int]:
        with self._lock:
            now = self._clock.now()
            self._shelves.acts.forget(now - round(AUDIT_SECONDS * SECOND))
            return Reply.of(self._shelves.ledger.fold(now))

    def count(self, counted: Sequence[Counted]) -> Reply[None]:
        with self._lock:
            for name, label, n in counted:
                self._shelves.counted[name, label] += n
            return Reply.of(None)

    def delete(self, ids: Sequence[bytes], by: Deed | None = None) -> Reply[list[bool]]:
        return self._locked(lambda: self._noted(by, upkeep.delete(self._shelves, ids)))

    def publish(self, queue: str, window: int, *, patience: float) -> Reply[Outgoing]:
        call = PublishCall(queue, window, patience)
        runners = self._runners.values()
        return self._locked(
            lambda: outgoing.publish(self._shelves, self._rules, runners, call, self._clock.now())
        )

    def withdraw(self, queues: Queues, ids: Sequence[bytes] | None = None) -> Reply[int]:
        return self._locked(lambda: outgoing.withdraw(self._shelves, queues, ids))

    def listen(self, listener: Signals) -> None:
        self._listeners.add(listener)

    def leave(self, listener: Signals) -> None:
        self._listeners.remove(listener)

    def _let_go(self, row: Row) -> None:
        if row.runner != NOBODY:
            self._runners[row.runner].let_go(row.seq)
            row.runner = NOBODY
            if row.job.queue in self._rules.queues:
                self._shelves.said.queues.add(row.job.queue)  # of which more may run now

    def _bury(self, runner: MemoryRunner, how: str, *, draining: bool) -> endings.Buried:
        del self._runners[runner.number]
        said = self._shelves.said
        said.asked = said.changed = said.anew = True  # of its children; of what it had, and kept others from
        end, now = End(socket.gethostname(), os.getpid(), how), self._clock.now()
        return endings.bury(self._shelves, runner, now, end, draining=draining or runner.marks.is_draining)
