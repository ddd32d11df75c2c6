"""Finding jobs, and deleting them."""

from postlude.model.job import Found, JobFilter
from postlude.model.outcome import Failed, Outcome, Parked, Succeeded
from postlude.model.state import Reason, State
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver
from postlude.testing.conformance.reading import counts, ids


class FindingCases(Cases):
    """Which jobs a filter means; a page and what acts are given agree."""

    def test_each_field_restricts(self, driver: Driver) -> None:
        named = b'{"a":[],"k":{"order":7,"tenant":"acme","urgent":true,"name":"\xc3\xa4\\"b","none":null}}'
        first = driver.new("shop:mail", key="k1", owner="ada", payload=named)
        driver.clock.advance(10)
        second = driver.new("shop:mail", queue="mail", owner="bob", payload=b"not JSON")
        driver.clock.advance(10)
        third = driver.new("shop:bill", key="k1", payload=b'{"a":[7],"k":{"order":"7","tenant":"acme inc"}}')
        driver.add(first, second, third)
        runner = driver.enlist()
        (failed,) = driver.claimed(runner, ids=[second.id]).claims
        driver.finish(failed, Failed("smtplib.SMTPException: mailbox full", "trace"))
        for wanted, expected in (
            (JobFilter(), [third, second, first]),
            (JobFilter(task="shop:mail"), [second, first]),
            (JobFilter(queue="mail"), [second]),
            (JobFilter(key="k1"), [third, first]),
            (JobFilter(key="k1", task="shop:bill"), [third]),
            (JobFilter(owner="ada"), [first]),
            (JobFilter(error="SMTPException"), [second]),
            (JobFilter(error="full"), [second]),
            (JobFilter(error="smtpexception"), []),
            (JobFilter(since=second.created), [third, second]),
            (JobFilter(until=second.created), [first]),
            (JobFilter(since=second.created, until=third.created), [second]),
            (JobFilter(arguments=(("order", "7"),)), [third, first]),
            (JobFilter(arguments=(("tenant", "acme"),)), [first]),
            (JobFilter(arguments=(("tenant", "acme"), ("order", "7"))), [first]),
            (JobFilter(arguments=(("tenant", "acme"), ("order", "8"))), []),
            (JobFilter(arguments=(("urgent", "true"),)), [first]),
            (JobFilter(arguments=(("name", '\u00e4"b'),)), [first]),
            (JobFilter(arguments=(("none", "null"),)), [first]),
            (JobFilter(arguments=(('x"]', "1"),)), []),
            (JobFilter(states=(State.FAILED,)), [second]),
            (JobFilter(states=(State.FAILED, State.QUEUED)), [third, second, first]),
            (JobFilter(states=(State.RUNNING,)), []),
            (JobFilter(within=2), [third, second]),
            (JobFilter(within=1, states=(State.FAILED,), queue="mail"), [second]),
            (JobFilter(limit=1), [third]),
            (JobFilter(limit=2, states=(State.QUEUED,)), [third, first]),
        ):
            if wanted.within == 1:  # more may be looked at where an index knows which are meant
                assert set(ids(driver, wanted)) <= {job.id for job in expected}, wanted
            else:
                assert ids(driver, wanted) == [job.id for job in expected], wanted
            found = driver.store.find(wanted).wait(PATIENCE)
            page = driver.store.page(wanted).wait(PATIENCE)
            assert found == [Found(one.seq, one.id, one.task, one.state) for one in page], wanted

    def test_what_has_ended_before(self, driver: Driver) -> None:
        jobs = [driver.new() for _ in range(4)]
        driver.add(*jobs)
        claims = driver.claim(driver.enlist())
        ends = []
        outcomes: tuple[Outcome, ...] = (driver.failed(), Succeeded(None), driver.failed(retry_after=60))
        for claim, outcome in zip(claims, outcomes, strict=False):
            ends.append(driver.clock.now())
            driver.finish(claim, outcome)
            driver.clock.advance(10)
        later = driver.clock.now()
        for wanted, expected in (
            (JobFilter(ended_before=later), [jobs[1], jobs[0]]),
            (JobFilter(ended_before=later, states=(State.FAILED,)), [jobs[0]]),
            (JobFilter(ended_before=later, states=(State.QUEUED, State.RUNNING)), []),
            (JobFilter(ended_before=ends[1]), [jobs[0]]),
            (JobFilter(ended_before=ends[0]), []),
        ):
            assert ids(driver, wanted) == [job.id for job in expected], wanted
            assert [one.id for one in driver.store.find(wanted).wait(PATIENCE)] == ids(driver, wanted), wanted

    def test_running_jobs_newest_first(self, driver: Driver) -> None:
        jobs = [driver.new() for _ in range(3)]
        driver.add(*jobs, driver.new("later", after=60))
        driver.claim(driver.enlist())
        wanted = JobFilter(states=(State.RUNNING,), limit=2)
        assert ids(driver, wanted) == [jobs[2].id, jobs[1].id]
        before = driver.store.find(wanted).wait(PATIENCE)[-1].seq
        assert ids(driver, JobFilter(states=(State.RUNNING,), before=before)) == [jobs[0].id]

    def test_only_what_has_ended_is_deleted(self, driver: Driver) -> None:
        job, waits, runs, fails, parks = (driver.new() for _ in range(5))
        driver.add(job, fails, parks, runs)
        runner = driver.enlist()
        claims = driver.claim(runner)
        driver.add(waits)
        driver.finish(claims[0])
        driver.finish(claims[1], driver.failed())
        driver.finish(claims[2], Parked(Reason.UNKNOWN_TASK, "r1"))
        unknown = bytes(16)
        asked = [job.id, waits.id, runs.id, fails.id, unknown, parks.id, job.id]
        deleted = driver.store.delete(asked).wait(PATIENCE)
        assert deleted == [True, False, False, True, False, False, True]
        assert driver.store.get(job.id).wait(PATIENCE) is None
        assert driver.store.get(fails.id).wait(PATIENCE) is None
        assert counts(driver) == {
            ("app:task", State.QUEUED): 1,
            ("app:task", State.RUNNING): 1,
            ("app:task", State.PARKED): 1,
        }
        assert driver.store.delete(asked).wait(PATIENCE) == [False] * 7

    def test_by_an_id_that_joined_it(self, driver: Driver) -> None:
        job = driver.new(key="k")
        joined = driver.new(key="k")
        driver.add(job, joined)
        driver.store.cancel([job.id]).wait(PATIENCE)
        assert driver.store.delete([joined.id]).wait(PATIENCE) == [True]
        assert driver.store.get(job.id).wait(PATIENCE) is None
        driver.add(driver.new(key="k"))

    def test_who_waits_behind_one_that_is_deleted_waits_for_the_one_before_it(self, driver: Driver) -> None:
        first, between, last = driver.new(), driver.new(follows=True), driver.new(follows=True)
        driver.add(first, between, last)
        driver.store.cancel([between.id]).wait(PATIENCE)
        assert driver.store.delete([between.id]).wait(PATIENCE) == [True]
        claim = driver.claim_one(driver.enlist())
        assert claim.id == first.id
        driver.finish(claim)
        assert driver.claim_one(driver.enlist()).id == last.id
