"""Looking at jobs."""

import os

from postlude.model.job import JobFilter, NewJob
from postlude.model.outcome import Failed, Parked
from postlude.model.queues import NONE, all_but, only
from postlude.model.state import Reason, State
from postlude.stores.protocol import Kind, LivingRunner, Pause, QueueState
from postlude.testing.conformance.bench import LEASE, PATIENCE, Cases, Driver


def ids(driver: Driver, wanted: JobFilter) -> list[bytes]:
    """Return the ids on a page."""
    return [record.id for record in driver.store.page(wanted).wait(PATIENCE)]


def counts(driver: Driver) -> dict[tuple[str, State], int]:
    """Return the counts that are not zero."""
    answer = driver.store.counts().wait(PATIENCE)
    found = {(task, state): jobs for task, state, jobs in answer if jobs}
    assert len(found) == sum(1 for one in answer if one.jobs), "a task and state appear twice"
    return found


def started(driver: Driver, job: NewJob) -> int | None:
    """Return when a job started: what the job and its page say, which must agree."""
    found = driver.record(job).started
    (on_page,) = [
        record.started for record in driver.store.page(JobFilter()).wait(PATIENCE) if record.id == job.id
    ]
    assert found == on_page
    return found


class ReadingCases(Cases):
    def test_an_unknown_id_is_none(self, driver: Driver) -> None:
        assert driver.store.get(bytes(16)).wait(PATIENCE) is None

    def test_an_empty_store_has_an_empty_page(self, driver: Driver) -> None:
        assert ids(driver, JobFilter()) == []

    def test_ids_that_begin_alike(self, driver: Driver) -> None:
        """Two of them at most: enough to say that the beginning is too short."""

        def beginning(digits: str) -> list[bytes]:
            return sorted(driver.store.ids_beginning(digits).wait(PATIENCE))

        assert beginning("") == beginning("0") == []
        first, second, third = (bytes.fromhex(start.ljust(32, "7")) for start in ("abc1", "abc2", "abd"))
        jobs = [driver.new()._replace(id=id) for id in (first, second, third)]
        driver.add(*jobs)
        assert beginning(first.hex()) == beginning("abc1") == beginning("abc17") == [first]
        assert beginning("abc") == [first, second]
        assert beginning("abd") == [third]
        assert len(beginning("ab")) == 2
        assert beginning("b") == beginning("abc18") == []

    def test_an_id_that_joined_a_job_begins_like_one(self, driver: Driver) -> None:
        """It gives the id of the job that it stands for."""
        job = driver.new(key="k")._replace(id=bytes.fromhex("aa" * 16))
        driver.add(job, job._replace(id=bytes.fromhex("bb" * 16)))
        assert driver.store.ids_beginning("bbbb").wait(PATIENCE) == [job.id]

    def test_who_lives(self, driver: Driver) -> None:
        """From enlisting to retiring, dying or being buried; each with what it said of itself."""

        def living() -> list[str]:
            return sorted(runner.release for runner in driver.store.living().wait(PATIENCE))

        assert living() == []
        retires, dies, stays = (driver.enlist(release=name) for name in ("retires", "dies", "stays"))
        assert living() == ["dies", "retires", "stays"]
        driver.store.retire(retires.runner, draining=False).wait(PATIENCE)
        assert living() == ["dies", "stays"]
        driver.clock.advance(LEASE - 1)
        driver.store.renew(stays.runner).wait(PATIENCE)
        driver.bench.kill(driver.store, dies)
        driver.clock.advance(2)
        assert living() == ["stays"]
        driver.reap()
        assert living() == ["stays"]
        driver.clock.advance(LEASE + 1)
        assert living() == [], "its lease has run out"

    def test_what_those_that_live_have_said_of_themselves(self, driver: Driver) -> None:
        parent = driver.enlist(kind=Kind.WORKER, slots=0, queues=NONE)
        child = driver.enlist(
            release="r2", kind=Kind.WORKER, slots=8, queues=only({"mail", "a, b"}), parent=parent
        )
        inline = driver.enlist(kind=Kind.INLINE, queues=all_but({"mail"}))
        driver.add(driver.new(), driver.new(queue="mail"))
        driver.claim(child)
        living = {one.number: one for one in driver.store.living().wait(PATIENCE)}
        here = (living[child.runner].host, os.getpid(), driver.clock.now())
        assert living == {
            parent.runner: LivingRunner(parent.runner, "worker", "r1", NONE, 0, None, *here, 0),
            child.runner: LivingRunner(
                child.runner, "worker", "r2", only({"mail", "a, b"}), 8, parent.runner, *here, 2
            ),
            inline.runner: LivingRunner(
                inline.runner, "inline", "r1", all_but({"mail"}), None, None, *here, 0
            ),
        }
        assert here[0]
        assert [living[one.runner].serves for one in (parent, child, inline)] == [False, True, False]

    def test_what_waits_and_runs_in_each_queue(self, driver: Driver) -> None:
        def queues() -> dict[str, QueueState]:
            found = driver.store.queues().wait(PATIENCE)
            assert [one.name for one in found] == sorted(one.name for one in found)
            return {one.name: one for one in found}

        assert queues() == {}
        driver.store.pause(Pause("queue", "slow")).wait(PATIENCE)
        first = driver.new(queue="mail")
        driver.clock.advance(5)
        driver.add(first, driver.new(queue="mail", follows=True), driver.new(queue="mail", after=60))
        second = driver.new()
        driver.add(second, driver.new("parks"), driver.new(after=60))
        assert queues() == {
            "default": QueueState("default", False, 2, 1, 0, 0, 0, second.created),
            "mail": QueueState("mail", False, 1, 1, 1, 0, 0, first.created),
            "slow": QueueState("slow", True, 0, 0, 0, 0, 0, None),
        }
        for claim in driver.claim(driver.enlist(), 3):
            if claim.task == "parks":
                driver.finish(claim, Parked(Reason.UNKNOWN_TASK, "r1"))
        found = queues()
        assert found["default"] == QueueState("default", False, 0, 1, 0, 1, 1, None)
        assert found["mail"]._replace(oldest=None) == QueueState("mail", False, 0, 1, 1, 1, 0, None)

    def test_what_waits_for_another_attempt_is_told_apart(self, driver: Driver) -> None:
        driver.add(driver.new(), driver.new(after=60))
        (claim,) = driver.claim(driver.enlist())
        driver.finish(claim, Failed("E", "E", retry_at=driver.after(60)))
        (queue,) = driver.store.queues().wait(PATIENCE)
        assert (queue.scheduled, queue.retrying, queue.ready) == (2, 1, 0)

    def test_newest_first(self, driver: Driver) -> None:
        jobs = [driver.new() for _ in range(4)]
        driver.add(*jobs)
        assert ids(driver, JobFilter()) == [job.id for job in reversed(jobs)]

    def test_pages_join_without_gap_or_overlap(self, driver: Driver) -> None:
        jobs = [driver.new() for _ in range(5)]
        driver.add(*jobs)
        seen: list[bytes] = []
        before: int | None = None
        while page := driver.store.page(JobFilter(before=before, limit=2)).wait(PATIENCE):
            assert len(page) <= 2
            seen += [record.id for record in page]
            before = page[-1].seq
        assert seen == [job.id for job in reversed(jobs)]

    def test_a_page_has_arguments_and_no_attempts(self, driver: Driver) -> None:
        job = driver.new(payload=b'{"a":[5],"k":{}}')
        driver.add(job)
        driver.finish(driver.claim_one(driver.enlist()), driver.failed())
        (record,) = driver.store.page(JobFilter()).wait(PATIENCE)
        assert (record.payload, record.failures, record.attempts) == (job.payload, 1, ())

    def test_a_page_tells_the_last_error(self, driver: Driver) -> None:
        job, fine, runner = driver.new(), driver.new(), driver.enlist()
        driver.add(job)
        driver.finish(driver.claim_one(runner), Failed("E: first", "E: first", driver.after(1)))
        driver.clock.advance(1)
        driver.promote()
        driver.finish(driver.claim_one(runner), Failed("E: second", "E: second"))
        driver.add(fine)
        driver.finish(driver.claim_one(runner))
        errors = [record.error for record in driver.store.page(JobFilter()).wait(PATIENCE)]
        assert errors == [None, "E: second"] == [driver.record(fine).error, driver.record(job).error]

    def test_a_job_that_runs_tells_when_it_started(self, driver: Driver) -> None:
        job, runner = driver.new(), driver.enlist()
        driver.add(job)
        claim = driver.claim_one(runner)
        assert started(driver, job) is None, "it has only been claimed"
        driver.clock.advance(1)
        now = driver.clock.now()
        driver.start(runner, claim)
        driver.clock.advance(1)
        assert started(driver, job) == now
        runner.marks.ended(claim.seq)
        assert started(driver, job) == now, "its end is about to be written"
        driver.finish(claim)
        assert started(driver, job) == now, "it took that second"

    def test_the_start_is_that_of_the_attempt_that_runs(self, driver: Driver) -> None:
        job, runner = driver.new(), driver.enlist()
        driver.add(job)
        first = driver.clock.now()
        claim = driver.claim_one(runner)
        driver.start(runner, claim)
        driver.clock.advance(1)
        runner.marks.ended(claim.seq)
        driver.finish(claim, driver.failed(retry_after=1))
        assert started(driver, job) == first, "of the last one, while the next one waits"
        driver.clock.advance(1)
        driver.promote()
        for _ in range(2):
            claim = driver.claim_one(runner)
            assert started(driver, job) is None
            now = driver.clock.now()
            driver.start(runner, claim)
            driver.clock.advance(1)
            runner.marks.ended(claim.seq)
            assert started(driver, job) == now, "not that of an earlier one"
            driver.finish(claim, driver.failed(retry_after=0))
            driver.promote()

    def test_filters(self, driver: Driver) -> None:
        a, b, c = driver.new("a"), driver.new("b", queue="mail"), driver.new("a", queue="mail")
        driver.add(a, b, c)
        assert ids(driver, JobFilter(task="a")) == [c.id, a.id]
        assert ids(driver, JobFilter(queue="mail")) == [c.id, b.id]
        assert ids(driver, JobFilter(task="a", queue="mail")) == [c.id]
        assert ids(driver, JobFilter(task="nobody")) == []
        assert ids(driver, JobFilter(states=(State.RUNNING,))) == []

    def test_filter_by_several_states(self, driver: Driver) -> None:
        jobs = one_of_each(driver)
        wanted = (State.FAILED, State.RUNNING, State.QUEUED)
        expected = {job.id for state in wanted for job in jobs[state]}
        assert set(ids(driver, JobFilter(states=wanted))) == expected

    def test_filter_by_each_state(self, driver: Driver) -> None:
        jobs = one_of_each(driver)
        for state, expected in jobs.items():
            assert ids(driver, JobFilter(states=(state,))) == [job.id for job in reversed(expected)]

    def test_counts(self, driver: Driver) -> None:
        jobs = one_of_each(driver)
        assert counts(driver) == {("app:task", state): len(each) for state, each in jobs.items()}

    def test_counts_tell_tasks_apart(self, driver: Driver) -> None:
        driver.add(driver.new("a"), driver.new("b"), driver.new("b"))
        assert counts(driver) == {("a", State.QUEUED): 1, ("b", State.QUEUED): 2}

    def test_counts_follow_a_job_through_its_life(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job, claim_for=runner)
        assert counts(driver) == {("app:task", State.RUNNING): 1}
        driver.die(runner)
        driver.reap()
        assert counts(driver) == {("app:task", State.QUEUED): 1}
        claim = driver.claim_one(driver.enlist())
        driver.finish(claim, driver.failed(retry_after=1))
        assert counts(driver) == {("app:task", State.QUEUED): 1}
        driver.clock.advance(1)
        driver.promote()
        driver.finish(driver.claim_one(driver.enlist()), Parked(Reason.UNKNOWN_TASK, "r1"))
        assert counts(driver) == {("app:task", State.PARKED): 1}
        driver.store.unpark([("app:task", "r1")]).wait(PATIENCE)
        driver.finish(driver.claim_one(driver.enlist()))
        assert counts(driver) == {("app:task", State.SUCCEEDED): 1}

    def test_counts_survive_reopening(self, driver: Driver) -> None:
        one_of_each(driver)
        before = counts(driver)
        driver.reopen()
        assert counts(driver) == before

    def test_the_store_says_where_it_is(self, driver: Driver) -> None:
        assert driver.store.location


def one_of_each(driver: Driver) -> dict[State, list[NewJob]]:
    """Add a job and bring it there, for each state; three that are queued in different ways."""
    runner = driver.enlist()
    good, bad, parked, running, cancelled = (driver.new() for _ in range(5))
    driver.add(good)
    driver.finish(driver.claim_one(runner))
    driver.add(bad)
    driver.finish(driver.claim_one(runner), driver.failed())
    driver.add(parked)
    driver.finish(driver.claim_one(runner), Parked(Reason.UNKNOWN_TASK, "r1"))
    driver.add(running)
    driver.claim(runner)
    driver.add(cancelled)
    driver.store.cancel([cancelled.id]).wait(PATIENCE)
    waiting = [driver.new(), driver.new(follows=True), driver.new(after=60)]
    driver.add(*waiting)
    return {
        State.SUCCEEDED: [good],
        State.FAILED: [bad],
        State.PARKED: [parked],
        State.RUNNING: [running],
        State.CANCELLED: [cancelled],
        State.QUEUED: waiting,
    }
