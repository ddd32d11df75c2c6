"""Faults of the process under test, by name: where it kills or stops itself, and what it does wrong.

The mutants are the mistakes that the checker must find. All are put in from outside, so that
the code that is shipped knows nothing of them.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import apsw
import psycopg

from postlude.model.crash import LOST, End
from postlude.model.outcome import Finish
from postlude.stores.grouped.backend import Verb
from postlude.stores.postgres.backend import PostgresBackend
from postlude.stores.postgres.runners import Runners as PostgresRunners
from postlude.stores.postgres.transaction import PostgresTransaction
from postlude.stores.protocol import Reaped
from postlude.stores.relational import claims
from postlude.stores.relational.burial import Dead, bury
from postlude.stores.relational.finish import finish_each
from postlude.stores.sqlite.backend import SqliteBackend
from postlude.stores.sqlite.locks.marks import LeftMarks
from postlude.stores.sqlite.runners import Runners as SqliteRunners
from postlude.stores.sqlite.transaction import SqliteTransaction

Backend = type[SqliteBackend] | type[PostgresBackend]


def arm(faults: Sequence[str], store: str) -> None:
    """Put faults in, each given as `name` or `name:argument`.

    Args:
        faults: which.
        store: where the journal is.
    """
    backend: Backend = PostgresBackend if store.startswith("postgresql") else SqliteBackend
    for fault in faults:
        name, _, argument = fault.partition(":")
        FAULTS[name](backend, argument)


def _put(owner: Any, name: str, function: Callable[..., Any]) -> None:
    setattr(owner, name, function)


# -- where a process dies or stops --------------------------------------------------------------


def before_commit(backend: Backend, nth: str) -> None:
    """Die as the nth group that adds jobs is about to be committed."""
    _around_commit(backend, int(nth), before=lambda: os.kill(os.getpid(), signal.SIGKILL))


def after_commit(backend: Backend, nth: str) -> None:
    """Die when the nth group that adds jobs has been committed and nobody knows."""
    _around_commit(backend, int(nth), after=lambda: os.kill(os.getpid(), signal.SIGKILL))


def stop_in_commit(backend: Backend, nth: str) -> None:
    """Be stopped, holding the locks, as the nth group that adds jobs is about to be committed."""
    _around_commit(backend, int(nth), before=lambda: os.kill(os.getpid(), signal.SIGSTOP))


def _nothing() -> None:
    pass


def _around_commit(
    backend: Backend, nth: int, *, before: Callable[[], None] = _nothing, after: Callable[[], None] = _nothing
) -> None:
    adding = False
    left = nth
    applied, committed = backend.apply, backend.commit

    def apply(self: Any, verb: Verb, arguments: Sequence[Any]) -> list[Any]:
        nonlocal adding
        adding |= verb is Verb.ADD
        return applied(self, verb, arguments)

    def commit(self: Any) -> None:
        nonlocal adding, left
        now, adding = adding, False
        left -= now
        if now and left == 0:
            before()
        committed(self)
        if now and left == 0:
            after()

    _put(backend, "apply", apply)
    _put(backend, "commit", commit)


def claim_breaks(backend: Backend, nth: str) -> None:
    """Let the disk fail in the nth group that claims."""
    left = int(nth)
    applied = backend.apply

    def apply(self: Any, verb: Verb, arguments: Sequence[Any]) -> list[Any]:
        nonlocal left
        left -= verb is Verb.CLAIM
        if verb is Verb.CLAIM and left == 0:
            if backend is SqliteBackend:
                raise self._throw_away(apsw.IOError("put in on purpose"))
            raise self._failed(psycopg.OperationalError("put in on purpose"))
        return applied(self, verb, arguments)

    _put(backend, "apply", apply)


# -- mutants ------------------------------------------------------------------------------------


def answers_early(backend: Backend, _: str) -> None:
    """Answer before the commit, which comes so much later that nearly every kill falls in between."""
    open_since: float | None = None
    begun, committed = backend.begin, backend.commit

    def begin(self: Any, jobs: int = 0) -> None:
        if open_since is None:
            begun(self, jobs)
        elif backend is SqliteBackend:
            self._tx = SqliteTransaction(self.premises.db, self._clock.now(), self._names)
        else:
            now = time.time_ns() // 1000
            self._tx = PostgresTransaction(
                self._db, self._sql, now, self._names, self._places, self.turns.ask, self.turns.prepared
            )

    def commit(self: Any) -> None:
        nonlocal open_since
        if open_since is None:
            open_since = time.monotonic()
        if time.monotonic() < open_since + 0.3:
            self._tx.finish()
            if backend is not SqliteBackend:
                self._tx.catch_up()
                if self._tx._tally:
                    self._db.execute(self._tx._tally)
            return
        open_since = None
        committed(self)

    _put(backend, "begin", begin)
    _put(backend, "commit", commit)


def finishes_without_fence(_: Backend, __: str) -> None:
    """Write how an attempt ended whoever holds the job now."""

    def unfenced(tx: Any, finishes: Sequence[Finish], host: str, pid: int) -> list[bool]:
        for finish in finishes:
            values = finish.fence, finish.seq
            if isinstance(tx, SqliteTransaction):
                tx.db.execute("UPDATE job SET fence = ?, state = 3 WHERE seq = ? AND state <> 3", values)
            else:
                sql = "UPDATE postlude.job SET fence = $1, state = 3 WHERE seq = $2 AND state <> 3"
                tx.pg.execute(sql, values)
        return finish_each(tx, finishes, host, pid)

    _put(claims, "finish_successes", lambda tx, successes: False)
    _put(claims, "finish_each", unfenced)


def _runners(backend: Backend) -> Any:
    return SqliteRunners if backend is SqliteBackend else PostgresRunners


def never_recovers(backend: Backend, _: str) -> None:
    """Leave the dead unburied."""
    _put(_runners(backend), "reap", lambda self, tx, calls: [Reaped(0, 0, 0)] * len(calls))


def buries_the_living(backend: Backend, _: str) -> None:
    """Take a live process for dead, now and then."""
    reap = _runners(backend).reap

    def eager(self: Any, tx: Any, calls: Sequence[None]) -> list[Reaped]:
        found: Reaped = reap(self, tx, calls)[0]
        mine = self._mine if backend is SqliteBackend else {self.token}
        rows = [row for row in tx.rows("runners") if row[1] not in mine and random.random() < 0.5]
        buried = bury(tx, [Dead(row[0], LeftMarks(b""), End("", 0, LOST)) for row in rows])
        for one in buried:
            found = Reaped(found.runners + 1, found.released + one.released, found.ended + one.failed)
        return [found] * len(calls)

    _put(_runners(backend), "reap", eager)


def forgets_when_asked_much(backend: Backend, _: str) -> None:
    """Say that jobs were stored that were not, when many come at once."""
    apply = backend.apply

    def dropping(self: Any, verb: Verb, arguments: Sequence[Any]) -> list[Any]:
        if verb is not Verb.ADD or sum(len(jobs) for jobs, _ in arguments) < 8:
            return apply(self, verb, arguments)
        *others, (jobs, claim_for) = arguments
        *kept, last = apply(self, verb, [*others, (jobs[:-1], claim_for)])
        return [*kept, [*last, (last or kept[-1])[-1]]]

    _put(backend, "apply", dropping)


def stores_twice(backend: Backend, _: str) -> None:
    """Store a request's jobs a second time, under other ids."""
    apply = backend.apply

    def doubling(self: Any, verb: Verb, arguments: Sequence[Any]) -> list[Any]:
        answers = apply(self, verb, arguments)
        if verb is Verb.ADD and random.random() < 0.2:
            jobs, _ = arguments[0]
            again = [job._replace(id=os.urandom(16)) for job in jobs]
            apply(self, verb, [(again, None)])
        return answers

    _put(backend, "apply", doubling)


FAULTS: Final[dict[str, Callable[[Backend, str], None]]] = {
    fault.__name__: fault
    for fault in (
        before_commit,
        after_commit,
        stop_in_commit,
        claim_breaks,
        answers_early,
        finishes_without_fence,
        never_recovers,
        buries_the_living,
        forgets_when_asked_much,
        stores_twice,
    )
}
