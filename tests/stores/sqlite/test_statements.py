"""How many statements a group takes, however many jobs are in it: each costs a round trip on a server."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import apsw
import pytest

from postlude.clock import ManualClock
from postlude.model.job import Claim, Hold, NewJob, Progress, ProgressNote
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import SUCCEEDED, LogLine, Outcome, Parked, Snoozed, Succeeded
from postlude.model.state import Reason, State, Stored
from postlude.stores.protocol import Enlisted, NewRunner
from postlude.stores.reply import Reply
from postlude.stores.sqlite.store import SqliteStore
from postlude.testing.conformance import Driver
from postlude.testing.conformance.bench import PATIENCE
from tests.stores.benches import SqliteBench

pytestmark = pytest.mark.disk

MANY = 100
MOST = 13
"""`BEGIN` and `COMMIT` are two of them."""

LINES = (LogLine(5, 30, "app", "a line"), LogLine(6, 30, "app", "another"))


class Statements:
    """What the writer's connection is asked."""

    def __init__(self, store: SqliteStore) -> None:
        assert store._writer is not None
        self._backend: Any = store._writer._backend
        self.run: list[str] = []

    def of(self, *asks: Callable[[], Reply[Any]], begins: int = 1) -> list[Any]:
        """Ask for all of these in one group; the statements that it takes are in `run`."""

        async def together() -> list[Any]:
            return await asyncio.gather(*[ask() for ask in asks])

        self.run.clear()
        db: apsw.Connection = self._backend.premises.db
        db.exec_trace = self._note
        try:
            answers = asyncio.run(asyncio.wait_for(together(), PATIENCE))
        finally:
            db.exec_trace = None
        assert [self.run.count(word) for word in ("BEGIN IMMEDIATE", "COMMIT")] == [begins, 1], "one group"
        return answers

    def _note(self, _: object, statement: str, __: object) -> bool:
        self.run.append(statement)
        return True


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    driver = Driver(SqliteBench(tmp_path), ManualClock())
    yield driver
    driver.store.close()


@pytest.fixture
def statements(driver: Driver) -> Statements:
    assert isinstance(driver.store, SqliteStore)
    return Statements(driver.store)


def few(statements: Statements) -> None:
    assert len(statements.run) <= MOST, "\n\n".join(statements.run)


def limited(driver: Driver) -> list[NewJob]:
    """Add two hundred jobs of four concurrency keys, of which half may run at once."""
    driver.declare(DeclaredLimits("task", "app:task", MANY // 4))
    jobs = [driver.new(concurrency_key=str(number % 4)) for number in range(2 * MANY)]
    driver.add(*jobs)
    return jobs


def claimed(driver: Driver, runner: Enlisted) -> list[Claim]:
    claims = driver.claim(runner, MANY)
    assert len(claims) == MANY
    return claims


def each(ask: Callable[[Any], Reply[Any]], given: Iterable[Any]) -> list[Callable[[], Reply[Any]]]:
    """A call for each of these."""
    return [partial(ask, one) for one in given]


def some(driver: Driver) -> list[NewJob]:
    jobs = [driver.new() for _ in range(MANY)]
    driver.add(*jobs)
    return jobs


@pytest.mark.parametrize("logs", [(), LINES])
def test_failed_finishes_under_a_limit(
    driver: Driver, statements: Statements, logs: tuple[LogLine, ...]
) -> None:
    jobs = limited(driver)
    claims = claimed(driver, driver.enlist())
    ends = [driver.finish_of(claim, driver.failed(), logs) for claim in claims]
    (written,) = statements.of(lambda: driver.store.finish(ends))
    assert written == [True] * MANY
    few(statements)
    assert [driver.record(job).stored for job in jobs] == [Stored.FAILED] * MANY + [Stored.READY] * MANY


@pytest.mark.parametrize("outcome", [Succeeded(b"7"), Succeeded(None, dropped=True)])
def test_finishes_with_results_and_log_lines(
    driver: Driver, statements: Statements, outcome: Outcome
) -> None:
    jobs = some(driver)
    ends = [[driver.finish_of(one, outcome, LINES)] for one in claimed(driver, driver.enlist())]
    answers = statements.of(*each(driver.store.finish, ends))
    assert answers == [[True]] * MANY
    few(statements)
    assert {len(driver.record(job).logs) for job in jobs} == {2}


def test_plain_successes(driver: Driver, statements: Statements) -> None:
    some(driver)
    ends = [driver.finish_of(claim) for claim in claimed(driver, driver.enlist())]
    statements.of(lambda: driver.store.finish(ends))
    assert len(statements.run) <= 5, "\n\n".join(statements.run)


@pytest.mark.parametrize("kind", ["retry", "snooze", "park"])
def test_ends_that_are_none(driver: Driver, statements: Statements, kind: str) -> None:
    jobs = limited(driver)
    claims = claimed(driver, driver.enlist())
    outcomes: dict[str, Outcome] = {
        "retry": driver.failed(retry_after=9),
        "snooze": Snoozed(driver.after(9)),
        "park": Parked(Reason.UNKNOWN_TASK, "r1", "unknown"),
    }
    ends = [driver.finish_of(claim, outcomes[kind]) for claim in claims]
    statements.of(lambda: driver.store.finish(ends))
    few(statements)
    assert driver.states(*jobs[:MANY]) == [State.PARKED if kind == "park" else State.QUEUED] * MANY


def test_finishes_some_of_which_are_late(driver: Driver, statements: Statements) -> None:
    """All are looked at then, whatever they are."""
    some(driver)
    claims = claimed(driver, driver.enlist())
    ends = [driver.finish_of(claim, SUCCEEDED, LINES) for claim in claims]
    ends[7] = ends[7]._replace(fence=9)
    (written,) = statements.of(lambda: driver.store.finish(ends), begins=2)
    assert written == [place != 7 for place in range(MANY)]
    few(statements)


def test_adds_of_many_concurrency_keys(driver: Driver, statements: Statements) -> None:
    driver.declare(DeclaredLimits("task", "app:task", 1))
    jobs = [driver.new(concurrency_key=str(number % MANY)) for number in range(2 * MANY)]
    statements.of(lambda: driver.store.add(jobs))
    few(statements)
    assert [driver.record(job).stored for job in jobs] == [Stored.READY] * MANY + [Stored.BLOCKED] * MANY


def test_cancels(driver: Driver, statements: Statements) -> None:
    jobs = limited(driver)
    statements.of(*each(driver.store.cancel, [[job.id] for job in jobs[:MANY]]))
    few(statements)
    assert driver.states(*jobs) == [State.CANCELLED] * MANY + [State.QUEUED] * MANY
    assert {driver.record(job).stored for job in jobs[MANY:]} == {Stored.READY}


def test_cancels_of_what_runs(driver: Driver, statements: Statements) -> None:
    jobs, runner = some(driver), driver.enlist()
    claimed(driver, runner)
    statements.of(lambda: driver.store.cancel([job.id for job in jobs]))
    few(statements)
    assert len(driver.asked(runner)) == MANY


def test_retries(driver: Driver, statements: Statements) -> None:
    jobs = [driver.new(key=str(number), concurrency_key="x") for number in range(MANY)]
    driver.declare(DeclaredLimits("task", "app:task", 10))
    driver.add(*jobs)
    driver.cancel(*jobs)
    statements.of(*each(driver.store.retry, [[job.id] for job in jobs]))
    few(statements)
    stored = [driver.record(job).stored for job in jobs]
    assert (stored.count(Stored.READY), stored.count(Stored.BLOCKED)) == (10, MANY - 10)


def test_progress(driver: Driver, statements: Statements) -> None:
    jobs = some(driver)
    claims = claimed(driver, driver.enlist())
    notes = [ProgressNote(one.seq, one.fence, Progress(1.0, 2.0, "half", 5)) for one in claims]
    statements.of(*each(driver.store.progress, [[note] for note in notes]))
    few(statements)
    assert {driver.record(job).progress for job in jobs} == {Progress(1.0, 2.0, "half", 5)}


def test_releases(driver: Driver, statements: Statements) -> None:
    jobs, runner = some(driver), driver.enlist()
    holds = [Hold(claim.seq, claim.fence, started=7) for claim in claimed(driver, runner)]
    driver.cancel(*jobs[:10])
    statements.of(*each(partial(driver.store.release, runner.runner), [[hold] for hold in holds]))
    few(statements)
    assert driver.states(*jobs) == [State.CANCELLED] * 10 + [State.QUEUED] * 90


def test_chains_that_are_given_back(driver: Driver, statements: Statements) -> None:
    runner = driver.enlist()
    jobs = [driver.new(follows=place > 0) for place in range(MANY)]
    driver.add(*jobs, claim_for=runner)
    holds = sorted(driver.store.holds(runner.runner).wait(PATIENCE))
    back = holds[:1]
    back += [hold._replace(due=driver.after(9), follows=before.seq) for before, hold in pairwise(holds)]
    statements.of(lambda: driver.store.release(runner.runner, back))
    few(statements)
    assert [driver.record(job).stored for job in jobs] == [Stored.READY] + [Stored.BLOCKED] * (MANY - 1)


@pytest.mark.parametrize("how", ["retired", "reaped"])
def test_burying_a_runner(driver: Driver, statements: Statements, how: str) -> None:
    jobs, runner = some(driver), driver.enlist()
    for claim in claimed(driver, runner):
        driver.start(runner, claim)
    if how == "retired":
        (answer,) = statements.of(lambda: driver.store.retire(runner.runner, draining=False))
        assert answer == MANY
    else:
        driver.die(runner)
        (answer,) = statements.of(lambda: driver.store.reap())
        assert answer == (1, MANY, 0)
    few(statements)
    assert {driver.record(job).reason for job in jobs} == {Reason.INTERRUPTED}


def test_burying_a_runner_with_jobs_of_every_kind(driver: Driver, statements: Statements) -> None:
    """Limited ones and others, some that have failed by it, some asked to stop, some that others wait for."""
    jobs = limited(driver)
    more = [driver.new("b", once=place % 2 > 0, priority=-1) for place in range(20)]
    more += [driver.new("c", follows=place > 0, priority=-1) for place in range(2)]
    driver.add(*more)
    runner = driver.enlist()
    claims = driver.claim(runner, 10 * MANY)
    for claim in claims:
        driver.start(runner, claim)
    driver.cancel(*jobs[:30])
    driver.die(runner)
    statements.of(lambda: driver.store.reap())
    assert len(statements.run) <= 2 * MOST, "\n\n".join(statements.run)
    assert driver.states(*jobs[:30], *more[:2]) == [State.CANCELLED] * 30 + [State.QUEUED, State.FAILED]


def test_what_is_parked_is_readied(driver: Driver, statements: Statements) -> None:
    jobs = [driver.new(f"task{number}") for number in range(MANY)]
    driver.add(*jobs)
    parked = Parked(Reason.UNKNOWN_TASK, "r1", "unknown")
    driver.store.finish([driver.finish_of(claim, parked) for claim in claimed(driver, driver.enlist())]).wait(
        PATIENCE
    )
    pairs = driver.store.parked().wait(PATIENCE)
    statements.of(*each(driver.store.unpark, [[pair] for pair in pairs]))
    few(statements)
    assert {driver.record(job).stored for job in jobs} == {Stored.READY}


def test_what_was_held_for_its_request(driver: Driver, statements: Statements) -> None:
    jobs = [driver.new(held=True, after=9) for _ in range(MANY)]
    seqs = [added.seq for job in jobs for added in driver.add(job)]
    answers = statements.of(*each(driver.store.free, [[seq] for seq in seqs]))
    assert answers == [1] * MANY
    few(statements)


def test_what_is_due(driver: Driver, statements: Statements) -> None:
    driver.declare(DeclaredLimits("task", "app:task", 3))
    driver.add(*[driver.new(concurrency_key=str(number % 10), after=9) for number in range(MANY)])
    driver.clock.advance(10)
    (promoted,) = statements.of(lambda: driver.store.promote())
    assert promoted.jobs == 30
    few(statements)


def test_limits_that_change(driver: Driver, statements: Statements) -> None:
    jobs = limited(driver)
    statements.of(lambda: driver.store.declare([DeclaredLimits("task", "app:task", 10)]))
    few(statements)
    assert [driver.record(job).stored for job in jobs].count(Stored.READY) == 40
    statements.of(lambda: driver.store.declare([DeclaredLimits("task", "app:task", 30)]))
    few(statements)
    assert [driver.record(job).stored for job in jobs].count(Stored.READY) == 120


def test_runners_of_one_process_that_all_end(driver: Driver, statements: Statements) -> None:
    runners = [driver.store.enlist(NewRunner("r1", 15.0)).wait(PATIENCE) for _ in range(10)]
    for runner in runners:
        driver.add(driver.new(), claim_for=runner)
    statements.of(*each(partial(driver.store.retire, draining=True), [one.runner for one in runners]))
    few(statements)


def test_claims_that_meet_a_rate(driver: Driver, statements: Statements) -> None:
    driver.declare(DeclaredLimits("task", "app:task", every=1_000_000))
    driver.add(*[driver.new(rated=True) for _ in range(MANY)])
    runner = driver.enlist()
    (claimed,) = statements.of(lambda: driver.store.claim(runner.runner, MANY, suspect=False))
    assert len(claimed.claims) == 1
    few(statements)


def test_jobs_that_are_deleted(driver: Driver, statements: Statements) -> None:
    jobs = some(driver)
    driver.cancel(*jobs)
    answers = statements.of(*each(driver.store.delete, [[job.id] for job in [*jobs, jobs[0]]]))
    assert answers == [[True]] * MANY + [[False]]
    few(statements)
