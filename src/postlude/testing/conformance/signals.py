"""Signals: what a store tells of its own accord."""

import threading
from collections.abc import Callable, Collection

import pytest

from postlude.config import Keep
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import Parked
from postlude.model.state import Reason
from postlude.model.terms import Conflict
from postlude.stores.signals import Signals
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver

Silence = Callable[[], set[str]]

ANY = "any"
"""In place of what is not known."""


class Heard(Signals):
    """Listens, and remembers."""

    def __init__(self) -> None:
        self._all: list[tuple[str, object]] = []
        self._told = threading.Condition()

    def ready(self, queues: Collection[str] | None) -> None:
        self._note("ready", ANY if queues is None else frozenset(queues))

    def due(self, at: int | None) -> None:
        self._note("due", ANY if at is None else at)

    def asked(self, runner: int | None) -> None:
        self._note("asked", ANY if runner is None else runner)

    def paused(self) -> None:
        self._note("paused", ANY)

    def changed(self, ids: Collection[bytes] | None) -> None:
        self._note("changed", ANY if ids is None else frozenset(ids))

    def _note(self, kind: str, what: object) -> None:
        with self._told:
            self._all.append((kind, what))
            self._told.notify_all()

    def until(self, kind: str, fits: Callable[[object], bool] = lambda what: True) -> bool:
        """Wait until something of a kind has been told that fits; False if it is not."""

        def told() -> bool:
            return any(name == kind and (what is ANY or fits(what)) for name, what in self._all)

        with self._told:
            return self._told.wait_for(told, PATIENCE)

    def kinds(self) -> set[str]:
        """Return what has been told so far."""
        with self._told:
            return {kind for kind, _ in self._all}

    def forget(self) -> None:
        with self._told:
            self._all.clear()


class SignalCases(Cases):
    """Each is told when it is certain, once too often rather than once too seldom."""

    @pytest.fixture
    def heard(self, driver: Driver) -> Heard:
        heard = Heard()
        driver.store.listen(heard)
        driver.bench.hear(driver.store)
        heard.forget()
        return heard

    @pytest.fixture
    def silence(self, driver: Driver, heard: Heard) -> Callable[[], set[str]]:
        """Return what has been told until now, and forget it."""
        turns = iter(range(100))

        def silence() -> set[str]:
            other = Heard()
            driver.store.listen(other)
            driver.pause("queue", f"unused-{next(turns)}")  # what was told before this was told before
            assert other.until("paused")
            assert heard.until("paused")
            driver.store.leave(other)
            kinds = heard.kinds() - {"paused"}
            heard.forget()
            return kinds

        return silence

    def test_what_is_added_is_ready(self, driver: Driver, heard: Heard) -> None:
        driver.add(driver.new(queue="mail"))
        assert heard.until("ready", lambda queues: queues == {"mail"})

    def test_what_is_born_claimed_is_not(self, driver: Driver, heard: Heard, silence: Silence) -> None:
        runner = driver.enlist()
        silence()
        for what in driver.store.paused().wait(PATIENCE):
            driver.resume(what.kind, what.name)
        job = driver.new()
        (added,) = driver.add(job, claim_for=runner)
        assert added.fence
        assert "changed" not in silence()

    def test_what_is_delayed_is_due(self, driver: Driver, heard: Heard) -> None:
        driver.add(driver.new(after=60))
        assert heard.until("due", lambda at: at == driver.after(60))
        driver.add(driver.new(after=30))
        assert heard.until("due", lambda at: at == driver.after(30))

    def test_one_that_replaces_another_is_due_when_it_says(self, driver: Driver, heard: Heard) -> None:
        driver.add(driver.new(key="k", after=60))
        driver.add(driver.new(key="k", after=30, conflict=Conflict.REPLACE))
        assert heard.until("due", lambda at: at == driver.after(30))
        assert heard.until("changed")

    def test_one_that_follows_waits_for_a_while(self, driver: Driver, heard: Heard) -> None:
        driver.add(driver.new(), driver.new(follows=True, after=15))
        assert heard.until("due", lambda at: at == driver.after(15))

    def test_another_attempt_is_due(self, driver: Driver, heard: Heard, silence: Silence) -> None:
        driver.add(driver.new())
        claim = driver.claim_one(driver.enlist())
        silence()
        driver.finish(claim, driver.failed(retry_after=60))
        assert heard.until("due", lambda at: at == driver.after(60))

    def test_what_is_due_is_ready(self, driver: Driver, heard: Heard, silence: Silence) -> None:
        driver.add(driver.new(after=60))
        silence()
        driver.clock.advance(60)
        driver.promote()
        assert heard.until("ready")
        assert heard.until("changed")

    def test_what_follows_is_ready(self, driver: Driver, heard: Heard, silence: Silence) -> None:
        driver.add(driver.new(), driver.new(follows=True))
        claim = driver.claim_one(driver.enlist())
        silence()
        driver.finish(claim)
        assert heard.until("ready")

    def test_what_had_no_room_is_ready(self, driver: Driver, heard: Heard, silence: Silence) -> None:
        driver.declare(DeclaredLimits("task", "app:task", concurrent=1))
        driver.add(driver.new(concurrency_key="a"), driver.new(concurrency_key="a"))
        claim = driver.claim_one(driver.enlist())
        silence()
        driver.finish(claim)
        assert heard.until("ready")

    def test_what_its_queue_had_no_room_for(self, driver: Driver, heard: Heard, silence: Silence) -> None:
        driver.declare(DeclaredLimits("queue", "q", concurrent=1))
        driver.add(driver.new(queue="q"), driver.new(queue="q"))
        runner = driver.enlist()
        claim = driver.claim_one(runner)
        silence()
        driver.finish(claim)
        assert heard.until("ready", lambda queues: queues == {"q"})

    def test_what_a_declaration_readies(self, driver: Driver, heard: Heard, silence: Silence) -> None:
        driver.declare(DeclaredLimits("task", "app:task", concurrent=1))
        driver.add(driver.new(concurrency_key="a"), driver.new(concurrency_key="a"))
        silence()
        driver.declare(DeclaredLimits("task", "app:task", concurrent=2))
        assert heard.until("ready")

    def test_what_is_given_back_is_ready(self, driver: Driver, heard: Heard, silence: Silence) -> None:
        runner = driver.enlist()
        driver.add(driver.new())
        claim = driver.claim_one(runner)
        silence()
        driver.release(runner, claim)
        assert heard.until("ready")
        assert heard.until("changed")

    @pytest.mark.parametrize("how", ["retires", "dies"])
    def test_what_a_runner_leaves_is_ready(
        self, driver: Driver, heard: Heard, silence: Silence, how: str
    ) -> None:
        runner = driver.enlist()
        driver.add(driver.new())
        driver.claim_one(runner)
        silence()
        if how == "dies":
            driver.die(runner)
            driver.reap()
        else:
            driver.store.retire(runner.runner, draining=True).wait(PATIENCE)
        assert heard.until("ready")
        assert heard.until("changed")
        assert heard.until("asked"), "it may have had children, who are to drain"

    def test_where_nobody_has_died(self, driver: Driver, heard: Heard, silence: Silence) -> None:
        driver.enlist()
        silence()
        driver.reap()
        driver.promote()
        driver.store.renew(1).wait(PATIENCE)
        driver.store.unpark([]).wait(PATIENCE)
        driver.store.prune(Keep()).wait(PATIENCE)
        assert silence() == set()

    def test_what_is_tried_again_is_ready(self, driver: Driver, heard: Heard, silence: Silence) -> None:
        job = driver.new()
        driver.add(job)
        driver.finish(driver.claim_one(driver.enlist()), driver.failed())
        silence()
        driver.retry(job)
        assert heard.until("ready")
        assert heard.until("changed")

    def test_what_is_not_parked_any_more(self, driver: Driver, heard: Heard, silence: Silence) -> None:
        driver.add(driver.new())
        driver.finish(driver.claim_one(driver.enlist()), Parked(Reason.UNKNOWN_TASK, "r1"))
        silence()
        driver.store.unpark([("app:task", "r1")]).wait(PATIENCE)
        assert heard.until("ready")

    def test_what_was_held_is_ready(self, driver: Driver, heard: Heard, silence: Silence) -> None:
        (added,) = driver.add(driver.new(held=True, after=15))
        silence()
        driver.store.free([added.seq]).wait(PATIENCE)
        assert heard.until("ready")

    @pytest.mark.parametrize("kind", ["queue", "task"])
    def test_pauses(self, driver: Driver, heard: Heard, silence: Silence, kind: str) -> None:
        driver.add(driver.new("a", queue="a"))
        silence()
        driver.pause(kind, "a")
        assert heard.until("paused")
        driver.claim(driver.enlist())
        silence()
        driver.resume(kind, "a")
        assert heard.until("paused")
        assert heard.until("ready")

    def test_who_runs_what_is_to_stop_is_asked(self, driver: Driver, heard: Heard, silence: Silence) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        driver.claim_one(runner)
        silence()
        driver.cancel(job)
        assert heard.until("asked", lambda number: number == runner.runner)
        assert heard.until("changed", lambda ids: ids == {job.id})

    def test_what_is_cancelled_has_changed(self, driver: Driver, heard: Heard, silence: Silence) -> None:
        job = driver.new()
        driver.add(job)
        silence()
        driver.cancel(job)
        assert heard.until("changed", lambda ids: ids == {job.id})

    def test_who_claims_and_ends_jobs_knows(self, driver: Driver, heard: Heard, silence: Silence) -> None:
        runner = driver.enlist()
        driver.add(driver.new(), driver.new())
        first, second = driver.claim(runner)
        driver.finish(first)
        driver.finish(second, driver.failed())
        assert "changed" not in silence()

    def test_who_has_left_is_told_nothing(self, driver: Driver, heard: Heard) -> None:
        other = Heard()
        driver.store.listen(other)
        driver.store.listen(other)
        driver.store.leave(heard)
        driver.add(driver.new())
        assert other.until("ready")
        assert heard.kinds() == set()
        assert [kind for kind, _ in other._all].count("ready") == 1

    def test_what_others_write_is_told(self, driver: Driver, heard: Heard, elsewhere: Driver) -> None:
        runner, running, waiting = driver.enlist(), driver.new(), driver.new(queue="here")
        driver.add(running)
        driver.claim_one(runner)
        driver.add(waiting)
        for do, kind in (
            (lambda: elsewhere.add(elsewhere.new(queue="there")), "ready"),
            (lambda: elsewhere.add(elsewhere.new(after=60)), "due"),
            (lambda: elsewhere.pause("queue", "there"), "paused"),
            (lambda: elsewhere.resume("queue", "there"), "paused"),
            (lambda: elsewhere.cancel(running), "asked"),
            (lambda: elsewhere.cancel(waiting), "changed"),
        ):
            heard.forget()
            do()
            assert heard.until(kind), kind
