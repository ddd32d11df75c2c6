"""Sums of what happens, by the minute and of all time."""

from random import Random

import pytest

from postlude.clock import SECOND
from postlude.config import Keep
from postlude.model.counted import Counted
from postlude.model.history import ALL_TIME, MINUTE, MINUTES_KEPT, RUN, WAIT, Sum
from postlude.model.job import Claim
from postlude.model.outcome import SUCCEEDED, Cancelled, Failed, Outcome, Parked, Snoozed
from postlude.model.state import Reason, State
from postlude.stores.values import Totals
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver


def history(driver: Driver, since: int = ALL_TIME, until: int = ALL_TIME, minutes: int = 1) -> list[Sum]:
    return driver.store.history(since, until, minutes).wait(PATIENCE)


def minute(driver: Driver) -> int:
    return driver.clock.now() // MINUTE


def numbers(driver: Driver) -> dict[tuple[str, str, str], int]:
    """Return how often each outcome was, ever."""
    return {(one.task, one.queue, one.outcome): one.n for one in history(driver)}


def end(
    driver: Driver,
    claim: Claim,
    outcome: Outcome = SUCCEEDED,
    *,
    ran: float = 1,
    waited: float | None = None,
    began: bool = True,
) -> None:
    """End an attempt that has run, and had waited, for so many seconds."""
    now = driver.clock.now()
    finish = driver.finish_of(claim, outcome)._replace(
        started=now - round(ran * SECOND),
        waited=None if waited is None else round(waited * SECOND),
        began=began,
    )
    assert driver.store.finish([finish]).wait(PATIENCE) == [True]


def only(driver: Driver, outcome: str) -> Sum:
    (found,) = [one for one in history(driver) if one.outcome == outcome]
    return found


def place(counts: tuple[int, ...]) -> int:
    """Return the bucket in which the only one is."""
    assert sum(counts) == 1
    return counts.index(1)


class HistoryCases(Cases):
    def test_a_new_journal_has_none(self, driver: Driver) -> None:
        assert history(driver) == []
        assert history(driver, 1, minute(driver)) == []

    def test_what_happens_is_counted_by_task_queue_and_outcome(self, driver: Driver) -> None:
        jobs = [driver.new("b"), driver.new("b", queue="mail"), driver.new("a")]
        driver.add(*jobs)
        for claim in driver.claim(driver.enlist()):
            end(driver, claim)
        assert numbers(driver) == {
            ("b", "default", "added"): 1,
            ("b", "mail", "added"): 1,
            ("a", "default", "added"): 1,
            ("b", "default", "succeeded"): 1,
            ("b", "mail", "succeeded"): 1,
            ("a", "default", "succeeded"): 1,
        }

    @pytest.mark.parametrize(
        ("outcome", "word"),
        [
            (SUCCEEDED, "succeeded"),
            (Failed("E", "E"), "failed"),
            (Failed("E", "E", None, Reason.TIMED_OUT), "timed_out"),
            (Failed("E", "E", 2**52), "retried"),
            (Snoozed(2**52), "snoozed"),
            (Cancelled(), "cancelled"),
            (Cancelled(Reason.DISCARDED, "Discard"), "discarded"),
            (Parked(Reason.UNKNOWN_TASK, "r1"), "parked"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_each_way_in_which_attempts_end_has_a_word(
        self, driver: Driver, outcome: Outcome, word: str
    ) -> None:
        driver.add(driver.new())
        end(driver, driver.claim_one(driver.enlist()), outcome)
        assert [one.outcome for one in history(driver)] == ["added", word]

    @pytest.mark.parametrize(
        ("seconds", "bucket"), [(0, 0), (0.005, 0), (0.006, 1), (1, RUN.index(1)), (601, len(RUN))]
    )
    def test_how_long_an_attempt_has_run(self, driver: Driver, seconds: float, bucket: int) -> None:
        driver.add(driver.new(), driver.new())
        first, second = driver.claim(driver.enlist())
        for claim, outcome in ((first, SUCCEEDED), (second, driver.failed())):
            end(driver, claim, outcome, ran=seconds)
        for word in ("succeeded", "failed"):
            found = only(driver, word)
            assert (found.n, found.ran, place(found.runs)) == (1, round(seconds * SECOND), bucket)
            assert (found.waited, sum(found.waits)) == (0, 0)

    @pytest.mark.parametrize(
        ("seconds", "bucket"), [(0, 0), (0.02, 2), (3600, WAIT.index(3600)), (9999, len(WAIT))]
    )
    def test_how_long_its_job_has_waited(self, driver: Driver, seconds: float, bucket: int) -> None:
        driver.add(driver.new(), driver.new())
        first, second = driver.claim(driver.enlist())
        for claim, outcome in ((first, SUCCEEDED), (second, driver.failed())):
            end(driver, claim, outcome, waited=seconds)
        for word in ("succeeded", "failed"):
            found = only(driver, word)
            assert (found.waited, place(found.waits)) == (round(seconds * SECOND), bucket)

    def test_an_attempt_that_has_not_begun_has_not_run(self, driver: Driver) -> None:
        driver.add(driver.new())
        end(driver, driver.claim_one(driver.enlist()), Cancelled(Reason.EXPIRED), waited=5, began=False)
        found = only(driver, "cancelled")
        assert (found.n, found.ran, sum(found.runs), found.waited, sum(found.waits)) == (1, 0, 0, 0, 0)
        assert found.attempts == 0

    def test_a_clock_that_was_set_back_takes_nothing_away(self, driver: Driver) -> None:
        driver.add(driver.new(), driver.new())
        first, second = driver.claim(driver.enlist())
        end(driver, first, ran=-5, waited=-5)
        end(driver, second, driver.failed(), ran=-5, waited=-5)
        for word in ("succeeded", "failed"):
            found = only(driver, word)
            assert (found.ran, found.waited, place(found.runs), place(found.waits)) == (0, 0, 0, 0)

    def test_a_claim_says_when_its_job_was_due(self, driver: Driver) -> None:
        driver.add(driver.new(), driver.new(after=60))
        due = driver.after(60)
        driver.clock.advance(90)
        driver.promote()
        assert [claim.due for claim in driver.claim(driver.enlist())] == [None, due]

    def test_of_one_that_runs_again_when_that_was_asked_for(self, driver: Driver) -> None:
        job = driver.new(after=60)
        driver.add(job)
        driver.cancel(job)
        driver.clock.advance(1000)
        driver.retry(job)
        assert driver.claim_one(driver.enlist()).due == driver.clock.now()

    def test_a_job_that_waits_is_cancelled(self, driver: Driver) -> None:
        job = driver.new(queue="mail")
        driver.add(job)
        driver.cancel(job)
        found = only(driver, "cancelled")
        assert (found.queue, found.n, found.attempts) == ("mail", 1, 0)

    def test_one_that_was_asked_to_stop_is_cancelled_once(self, driver: Driver) -> None:
        jobs = [driver.new(queue="mail"), driver.new(queue="mail")]
        driver.add(*jobs)
        runner = driver.enlist()
        first, second = driver.claim(runner)
        driver.cancel(*jobs)
        driver.release(runner, first)
        end(driver, second, driver.failed(retry_after=60))
        found = only(driver, "cancelled")
        assert (found.queue, found.n, found.attempts) == ("mail", 2, 1)

    def test_attempts_whose_process_dies(self, driver: Driver) -> None:
        jobs = [driver.new(queue="mail"), driver.new(once=True)]
        driver.add(*jobs)
        driver.die_in(*jobs)
        assert only(driver, "interrupted")[1:5] == ("app:task", "mail", "interrupted", 1)
        assert only(driver, "may_have_run").queue == "default"
        assert only(driver, "interrupted").attempts == only(driver, "may_have_run").attempts == 1
        while driver.state(jobs[0]) is not State.FAILED:
            driver.die_in(jobs[0])
        assert only(driver, "killed")[2:5] == ("mail", "killed", 1)

    def test_what_had_not_started_is_not_interrupted(self, driver: Driver) -> None:
        driver.add(driver.new())
        runner = driver.enlist()
        driver.claim_one(runner)
        driver.die(runner)
        driver.reap()
        assert set(numbers(driver)) == {("app:task", "default", "added")}

    def test_an_end_that_does_not_count_is_not_counted(self, driver: Driver) -> None:
        driver.add(driver.new())
        claim = driver.claim_one(driver.enlist())
        end(driver, claim)
        assert driver.finish(claim) is False
        assert only(driver, "succeeded").n == 1

    @pytest.mark.parametrize("how", ["stored", "gone", "conflict"])
    def test_a_commit_that_goes_wrong_counts_once(self, driver: Driver, how: str) -> None:
        driver.add(driver.new())
        claim = driver.claim_one(driver.enlist())
        driver.bench.lose_commit(driver.store, how)
        driver.finish(claim)
        driver.bench.lose_commit(driver.store, how)
        driver.add(driver.new())
        assert [(one.outcome, one.n) for one in history(driver)] == [("added", 2), ("succeeded", 1)]

    def test_minutes_are_kept_apart_and_can_be_added_up(self, driver: Driver) -> None:
        runner = driver.enlist(lease=10_000)
        driver.clock.advance((-driver.clock.now() // SECOND) % 600)  # to a minute that ends with a nought
        first = minute(driver)
        for _ in range(3):
            driver.add(driver.new())
            end(driver, driver.claim_one(runner), ran=2)
            driver.clock.advance(240)
        ended = [one for one in history(driver, first, first + 30) if one.outcome == "succeeded"]
        assert [(one.minute - first, one.n) for one in ended] == [(0, 1), (4, 1), (8, 1)]
        assert [one.minute - first for one in history(driver, first + 1, first + 4)] == [4, 4]
        fives = [one for one in history(driver, first, first + 30, 5) if one.outcome == "succeeded"]
        assert [(one.minute - first, one.n, one.ran) for one in fives] == [
            (0, 2, 4 * SECOND),
            (5, 1, 2 * SECOND),
        ]
        assert only(driver, "succeeded").n == 3

    def test_after_a_week_only_what_has_been_ever_is_kept(self, driver: Driver) -> None:
        first = minute(driver)
        driver.add(driver.new())
        driver.clock.advance(600)
        driver.add(driver.new())
        driver.clock.advance((MINUTES_KEPT - 1) * 60 - 600)
        assert driver.store.fold().wait(PATIENCE) == 0
        driver.clock.advance(120)
        assert driver.store.fold().wait(PATIENCE) == 1
        assert [one.minute - first for one in history(driver, first, minute(driver))] == [10]
        driver.clock.advance(600)
        assert driver.store.fold().wait(PATIENCE) == 1
        assert driver.store.fold().wait(PATIENCE) == 0
        assert history(driver, first, minute(driver)) == []
        assert only(driver, "added").n == 2

    def test_sums_outlive_their_jobs_and_the_process(self, driver: Driver) -> None:
        driver.add(driver.new())
        end(driver, driver.claim_one(driver.enlist()), waited=1)
        driver.clock.advance(10)
        assert driver.store.prune(Keep(success_seconds=1)).wait(PATIENCE) == 1
        before = history(driver), history(driver, 1, minute(driver))
        driver.reopen()
        assert (history(driver), history(driver, 1, minute(driver))) == before

    def test_others_are_told_the_same(self, driver: Driver, elsewhere: Driver) -> None:
        for one in (driver, elsewhere):
            one.add(one.new())
            end(one, one.claim_one(one.enlist()))
        assert history(driver) == history(elsewhere)
        assert only(driver, "succeeded").n == 2

    def test_totals_are_told_by_queue(self, driver: Driver) -> None:
        driver.add(driver.new("a"), driver.new("a", queue="mail"), driver.new("a", queue="mail"))
        runner = driver.enlist()
        for claim in driver.claim(runner):
            end(driver, claim, SUCCEEDED if claim.queue == "mail" else driver.failed())
        assert driver.store.totals().wait(PATIENCE) == [
            Totals("a", "default", 1, 0, 1, 0),
            Totals("a", "mail", 2, 2, 0, 0),
        ]


class CountedCases(Cases):
    def test_what_processes_have_counted_is_added_up(self, driver: Driver) -> None:
        assert driver.store.counted().wait(PATIENCE) == []
        lost, died = Counted("leases_lost", "", 2), Counted("memory_only", "shop:mail é <lambda>", 1)
        driver.store.count([died, lost, lost]).wait(PATIENCE)
        driver.store.count([died._replace(label="other"), lost]).wait(PATIENCE)
        driver.store.count([]).wait(PATIENCE)
        assert driver.store.counted().wait(PATIENCE) == [
            lost._replace(n=6),
            died._replace(label="other"),
            died,
        ]

    def test_it_outlives_the_process(self, driver: Driver) -> None:
        driver.store.count([Counted("leases_lost", "", 2)]).wait(PATIENCE)
        driver.reopen()
        driver.store.count([Counted("leases_lost", "", 1)]).wait(PATIENCE)
        assert driver.store.counted().wait(PATIENCE) == [Counted("leases_lost", "", 3)]

    def test_its_size_is_told_where_it_has_one(self, driver: Driver) -> None:
        before = driver.store.size().wait(PATIENCE)
        random = Random(1)
        for _ in range(20):  # of what no database can compress
            driver.add(driver.new(payload=b'{"a":["%b"],"k":{}}' % random.randbytes(50_000).hex().encode()))
        after = driver.store.size().wait(PATIENCE)
        assert (before is None) is (after is None)
        assert before is None or after is None or after - before > 500_000
