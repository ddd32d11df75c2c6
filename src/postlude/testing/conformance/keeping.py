"""What is kept with a job: its key and options, its progress, its result, what its attempts logged."""

from dataclasses import replace

from postlude.config import Keep
from postlude.model.job import JobFilter, NewJob, Progress, ProgressNote
from postlude.model.outcome import SUCCEEDED, Finish, LogLine, Outcome, Parked, Snoozed, Succeeded
from postlude.model.state import Reason, State
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver

LINE, OTHER = LogLine(1, 20, "shop", "sent"), LogLine(2, 40, "shop.mail", "über …\nzwei")


def run(driver: Driver, job: NewJob, outcome: Outcome = SUCCEEDED, *logs: LogLine) -> None:
    """Run a job that is ready, and let it log."""
    claim = driver.claim_one(driver.enlist())
    assert claim.id == job.id
    assert driver.store.finish([driver.finish_of(claim, outcome, logs)]).wait(PATIENCE) == [True]


def progress(driver: Driver, *notes: ProgressNote) -> None:
    driver.store.progress(notes).wait(PATIENCE)


class KeepingCases(Cases):
    def test_key_opts_and_context_come_back(self, driver: Driver) -> None:
        job = driver.new(key="k", opts='{"n":3}', context='{"user":"ada"}', concurrency_key="x", rated=True)
        driver.add(job)
        record = driver.record(job)
        assert (record.key, record.given.opts, record.given.context) == (
            "k",
            job.terms.given.opts,
            job.terms.given.context,
        )
        claim = driver.claim_one(driver.enlist())
        assert (claim.given.opts, claim.given.context) == (job.terms.given.opts, job.terms.given.context)

    def test_without_them_there_is_nothing(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        record = driver.record(job)
        assert (record.key, record.given.opts, record.given.context, record.result, record.progress) == (
            None,
        ) * 5
        assert record.logs == ()
        claim = driver.claim_one(driver.enlist())
        assert (claim.given.opts, claim.given.context, claim.limited) == (None, None, False)

    def test_those_that_are_born_claimed_keep_them_too(self, driver: Driver) -> None:
        job = driver.new(key="k", opts='{"n":3}', context='{"user":"ada"}')
        (added,) = driver.add(job, claim_for=driver.enlist())
        assert added.fence > 0
        record = driver.record(job)
        assert (record.key, record.given.opts, record.given.context) == (
            "k",
            job.terms.given.opts,
            job.terms.given.context,
        )

    def test_a_result_is_read_with_its_job_alone(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        run(driver, job, Succeeded(b'{"total":7}'))
        record = driver.record(job)
        assert (record.state, record.result, record.reason) == (State.SUCCEEDED, b'{"total":7}', None)
        (shown,) = driver.store.page(JobFilter()).wait(PATIENCE)
        assert shown.result is None

    def test_no_result_is_none(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        run(driver, job)
        assert driver.record(job).result is None

    def test_a_result_that_could_not_be_kept_says_so(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        run(driver, job, Succeeded(None, dropped=True))
        record = driver.record(job)
        assert (record.state, record.result, record.reason) == (
            State.SUCCEEDED,
            None,
            Reason.RESULT_DROPPED,
        )

    def test_results_of_a_group_do_not_mix(self, driver: Driver) -> None:
        jobs = [driver.new() for _ in range(4)]
        driver.add(*jobs)
        outcomes = [Succeeded(b"1"), SUCCEEDED, Succeeded(None, dropped=True), Succeeded(b"4")]
        claims = driver.claim(driver.enlist())
        ends = [driver.finish_of(claim, end) for claim, end in zip(claims, outcomes, strict=True)]
        assert driver.store.finish(ends).wait(PATIENCE) == [True] * 4
        records = [driver.record(job) for job in jobs]
        assert [record.result for record in records] == [b"1", None, None, b"4"]
        assert [record.reason for record in records] == [None, None, Reason.RESULT_DROPPED, None]

    def test_an_end_that_is_refused_leaves_nothing(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        stale = driver.claim_one(runner)
        driver.release(runner, stale)
        fresh = driver.claim_one(runner)
        end: Finish = driver.finish_of(stale, Succeeded(b"stale"), (LINE,))
        assert driver.store.finish([end]).wait(PATIENCE) == [False]
        assert (driver.record(job).result, driver.record(job).logs) == (None, ())
        assert driver.finish(fresh, Succeeded(b"fresh"))
        assert driver.record(job).result == b"fresh"

    def test_a_late_end_keeps_its_result(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        claim = driver.claim_one(runner)
        driver.release(runner, claim)
        assert driver.finish(claim, Succeeded(b"late"))
        assert driver.record(job).result == b"late"

    def test_log_lines_say_of_which_attempt_they_are(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        run(driver, job, driver.failed(retry_after=0), LINE, OTHER)
        driver.promote()
        run(driver, job, SUCCEEDED, LINE)
        assert driver.record(job).logs == ((1, LINE), (1, OTHER), (2, LINE))
        (shown,) = driver.store.page(JobFilter()).wait(PATIENCE)
        assert shown.logs == ()

    def test_what_costs_no_attempt_logs_into_the_same(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        run(driver, job, Snoozed(0), LINE)
        driver.promote()
        run(driver, job, Parked(Reason.INVALID_ARGUMENTS, "r1"), OTHER)
        driver.store.unpark([("app:task", "r1")]).wait(PATIENCE)
        run(driver, job, driver.failed(), LINE)
        assert driver.record(job).logs == ((1, LINE), (1, OTHER), (1, LINE))

    def test_progress_is_kept_while_the_claim_holds(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        claim = driver.claim_one(driver.enlist())
        first = Progress(1.0, 4.0, "begun", driver.clock.now())
        progress(driver, ProgressNote(claim.seq, claim.fence, first))
        assert driver.record(job).progress == first
        bare = Progress(2.5, None, None, driver.clock.now() + 1)
        progress(driver, ProgressNote(claim.seq, claim.fence, bare))
        assert driver.record(job).progress == bare

    def test_progress_without_a_present_claim_is_not_kept(self, driver: Driver) -> None:
        runner, job, waiting = driver.enlist(), driver.new(), driver.new(after=60)
        (_, later) = driver.add(job, waiting)
        stale = driver.claim_one(runner)
        driver.release(runner, stale)
        note = Progress(1.0, None, None, driver.clock.now())
        progress(driver, ProgressNote(stale.seq, stale.fence, note))
        assert driver.record(job).progress is None
        driver.claim_one(runner)
        progress(
            driver,
            ProgressNote(stale.seq, stale.fence, note),
            ProgressNote(later.seq, 0, note),
            ProgressNote(later.seq + 1000, 1, note),
        )
        assert (driver.record(job).progress, driver.record(waiting).progress) == (None, None)

    def test_what_was_said_last_may_come_after_the_end(self, driver: Driver) -> None:
        runner, last = driver.enlist(), Progress(3.0, 3.0, "done", driver.clock.now())
        for outcome in (SUCCEEDED, driver.failed()):
            job = driver.new()
            driver.add(job)
            claim = driver.claim_one(runner)
            driver.finish(claim, outcome)
            progress(driver, ProgressNote(claim.seq, claim.fence, last))
            assert driver.record(job).progress == last
            progress(driver, ProgressNote(claim.seq, claim.fence - 1, Progress(1.0, None, None, 1)))
            assert driver.record(job).progress == last, "of a claim before"

    def test_the_last_of_several_notes_is_kept(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        claim = driver.claim_one(driver.enlist())
        notes = [Progress(float(n), 3.0, None, driver.clock.now() + n) for n in range(3)]
        progress(driver, *[ProgressNote(claim.seq, claim.fence, note) for note in notes])
        assert driver.record(job).progress == notes[2]

    def test_all_of_it_survives_reopening(self, driver: Driver) -> None:
        done, running = driver.new(key="k", opts='{"n":3}', context="{}"), driver.new(key="l")
        driver.add(done)
        run(driver, done, driver.failed(retry_after=0), LINE)
        driver.promote()
        run(driver, done, Succeeded(b"7"), OTHER)
        driver.add(running)
        claim = driver.claim_one(driver.enlist())
        progress(driver, ProgressNote(claim.seq, claim.fence, Progress(1.0, 2.0, "ü", driver.clock.now())))
        before = driver.record(done), driver.record(running)
        driver.reopen()
        kept = driver.record(running)
        assert kept.reason in (None, Reason.INTERRUPTED), "its runner may be known to be gone"
        assert (driver.record(done), replace(kept, reason=None)) == before

    def test_with_a_job_all_of_it_is_pruned(self, driver: Driver) -> None:
        job, joined = driver.new(key="k"), driver.new(key="k")
        driver.add(job)
        driver.add(joined)
        run(driver, job, Succeeded(b"7"), LINE)
        driver.clock.advance(100)
        assert driver.store.prune(Keep(success_seconds=1)).wait(PATIENCE) == 1
        for gone in (job, joined):
            assert driver.store.get(gone.id).wait(PATIENCE) is None
        assert driver.retry(joined) == [False]
        driver.add(again := driver.new(key="k"))
        record = driver.record(again)
        assert (record.result, record.logs, record.id) == (None, (), again.id)
