"""Start marks: what a runner notes of the jobs that it starts, and of their ends."""

from postlude.testing.conformance.bench import Cases, Driver


class MarkCases(Cases):
    """Starts and ends are noted by job; a store keeps for itself where."""

    def test_the_last_start_of_a_job_counts(self, driver: Driver) -> None:
        """Its runner may have lost sight of how an earlier one ended."""
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        claim = driver.claim_one(runner)
        driver.start(runner, claim)
        driver.start(runner, claim)
        runner.marks.ended(claim.seq)
        driver.die(runner)
        driver.reap()
        assert driver.claim_one(driver.enlist()).suspect is False

    def test_an_end_that_nobody_has_seen_begin_is_none(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        claim = driver.claim_one(runner)
        runner.marks.ended(claim.seq)
        driver.start(runner, claim)
        runner.marks.ended(claim.seq + 1)
        driver.die(runner)
        driver.reap()
        assert driver.claim_one(driver.enlist(), suspect=True).suspect is True
