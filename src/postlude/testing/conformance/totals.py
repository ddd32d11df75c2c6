"""How many jobs there have been: numbers that never fall."""

from postlude.config import Keep
from postlude.model.job import NewJob
from postlude.model.outcome import SUCCEEDED, Cancelled, Outcome
from postlude.stores.values import Totals
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver


def totals(driver: Driver) -> list[Totals]:
    return driver.store.totals().wait(PATIENCE)


def ended(driver: Driver, task: str, *outcomes: Outcome) -> list[NewJob]:
    runner, jobs = driver.enlist(), [driver.new(task) for _ in outcomes]
    driver.add(*jobs)
    for claim, outcome in zip(driver.claim(runner), outcomes, strict=True):
        assert driver.finish(claim, outcome)
    return jobs


class TotalCases(Cases):
    def test_a_new_journal_has_had_no_jobs(self, driver: Driver) -> None:
        assert totals(driver) == []

    def test_what_was_added_and_has_ended_is_told_by_task(self, driver: Driver) -> None:
        ended(driver, "b", SUCCEEDED, SUCCEEDED, driver.failed(), Cancelled())
        ended(driver, "a", SUCCEEDED)
        driver.add(driver.new("a"), driver.new("c"))
        driver.finish(driver.claim(driver.enlist())[0], driver.failed(retry_after=60))
        assert totals(driver) == [
            Totals("b", "default", 4, 2, 1, 1),
            Totals("a", "default", 2, 1, 0, 0),
            Totals("c", "default", 1, 0, 0, 0),
        ]

    def test_pruning_takes_nothing_away(self, driver: Driver) -> None:
        ended(driver, "a", SUCCEEDED, driver.failed(), Cancelled())
        before = totals(driver)
        driver.clock.advance(10)
        assert driver.store.prune(Keep(success_seconds=1, failure_seconds=1)).wait(PATIENCE) == 3
        assert totals(driver) == before == [Totals("a", "default", 3, 1, 1, 1)]
        ended(driver, "b", SUCCEEDED)
        assert totals(driver)[0] == before[0]

    def test_so_it_is_with_jobs_that_are_deleted(self, driver: Driver) -> None:
        jobs = ended(driver, "a", SUCCEEDED, driver.failed())
        assert driver.store.delete([job.id for job in jobs]).wait(PATIENCE) == [True, True]
        assert totals(driver) == [Totals("a", "default", 2, 1, 1, 0)]

    def test_a_job_that_runs_again_ends_again(self, driver: Driver) -> None:
        (job,) = ended(driver, "a", driver.failed())
        assert driver.retry(job) == [True]
        assert totals(driver) == [Totals("a", "default", 1, 0, 1, 0)]
        driver.finish(driver.claim_one(driver.enlist()))
        assert totals(driver) == [Totals("a", "default", 1, 1, 1, 0)]

    def test_they_outlive_the_process(self, driver: Driver) -> None:
        ended(driver, "a", SUCCEEDED, driver.failed())
        driver.clock.advance(10)
        driver.store.prune(Keep(success_seconds=1, failure_seconds=1)).wait(PATIENCE)
        driver.reopen()
        assert totals(driver) == [Totals("a", "default", 2, 1, 1, 0)]

    def test_a_call_that_a_job_stands_for_is_no_job(self, driver: Driver) -> None:
        driver.add(driver.new("a", key="k"))
        driver.add(driver.new("a", key="k"))
        assert totals(driver) == [Totals("a", "default", 1, 0, 0, 0)]
