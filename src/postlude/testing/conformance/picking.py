"""Claims by ids: these and no others, each claimed and started, or refused with a reason."""

from postlude.clock import SECOND
from postlude.model.job import Claimed, FreeSlots, NewJob
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import Parked
from postlude.model.queues import only
from postlude.model.refusal import Refusal, Refused
from postlude.model.state import Reason, State, Stored
from postlude.model.terms import Conflict
from postlude.stores.protocol import Enlisted
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver

FULL = FreeSlots(0, 0, 0)


def pick(driver: Driver, runner: Enlisted, *jobs: NewJob) -> list[bytes]:
    """Claim these, none of which may be refused; returns whose claims came."""
    claimed = driver.claimed(runner, ids=[job.id for job in jobs])
    assert claimed.refused == ()
    return [claim.id for claim in claimed.claims]


def why(driver: Driver, runner: Enlisted, job: NewJob) -> Refusal:
    """Ask for one, which must be refused."""
    claimed = driver.claimed(runner, ids=[job.id])
    ((id, why),) = claimed.refused
    assert (claimed, id) == (Claimed([], refused=claimed.refused), job.id)
    return why


class PickingCases(Cases):
    def test_these_and_no_others(self, driver: Driver) -> None:
        first, *jobs = [driver.new(priority=n) for n in range(4)]
        driver.add(first, *jobs)
        runner = driver.enlist()
        wanted = [jobs[2], jobs[0]]
        claimed = driver.claimed(runner, ids=[job.id for job in wanted])
        assert [claim.id for claim in claimed.claims] == [job.id for job in wanted], "in their order"
        assert (claimed.more, claimed.again, claimed.passed, claimed.refused) == (False, None, (), ())
        assert driver.states(first, jobs[1]) == [State.QUEUED] * 2
        assert [claim.id for claim in driver.claim(runner)] == [first.id, jobs[1].id]

    def test_a_claim_is_whole(self, driver: Driver) -> None:
        job = driver.new(
            "app:send", queue="mail", payload=b'{"a":[7],"k":{}}', opts='{"t":1.0}', context="{}"
        )
        driver.add(job)
        (claim,) = driver.claimed(driver.enlist(), ids=[job.id]).claims
        assert (claim.task, claim.queue, claim.fence) == ("app:send", "mail", 1)
        assert (claim.payload, claim.given) == (job.payload, job.terms.given)
        assert driver.finish(claim)
        assert driver.state(job) is State.SUCCEEDED

    def test_they_start_with_their_claims(self, driver: Driver) -> None:
        job, other = driver.new(), driver.new()
        driver.add(job, other)
        runner = driver.enlist()
        pick(driver, runner, job)
        assert (driver.state(job), driver.record(job).started) == (State.RUNNING, driver.clock.now())
        driver.claim(runner)
        driver.die(runner)
        assert driver.reap() == (1, 2, 0)
        assert [driver.record(one).deaths for one in (job, other)] == [1, 0]

    def test_claimed_ahead_they_start_when_that_is_marked(self, driver: Driver) -> None:
        jobs = [driver.new() for _ in range(4)]
        driver.add(*jobs)
        runner = driver.enlist()
        driver.store.publish("default", 2, patience=60.0).wait(PATIENCE)
        claims = [
            claim
            for few in (jobs[:2], jobs[2:])
            for claim in driver.claimed(runner, ids=[job.id for job in few], ahead=True).claims
        ]
        assert driver.states(*jobs) == [State.RUNNING] * 4
        assert [driver.record(job).started for job in jobs] == [None] * 4
        driver.start(runner, claims[1])
        driver.die(runner)
        assert driver.reap() == (1, 4, 0)
        assert [driver.record(job).deaths for job in jobs] == [0, 1, 0, 0]

    def test_given_back_and_claimed_again_they_have_not_started(self, driver: Driver) -> None:
        job, runner = driver.new(), driver.enlist()
        driver.add(job)
        (claim,) = driver.claimed(runner, ids=[job.id]).claims
        driver.release(runner, claim)
        driver.claim(runner)
        driver.die(runner)
        driver.reap()
        assert driver.record(job).deaths == 0

    def test_nothing_is_asked_for(self, driver: Driver) -> None:
        driver.add(driver.new())
        assert driver.claimed(driver.enlist(), ids=[]) == Claimed([])

    def test_of_many_some(self, driver: Driver) -> None:
        jobs, runner = [driver.new() for _ in range(3)], driver.enlist()
        driver.add(*jobs)
        pick(driver, runner, jobs[1])
        claimed = driver.claimed(runner, ids=[bytes(16), *(job.id for job in jobs)])
        assert [claim.id for claim in claimed.claims] == [jobs[0].id, jobs[2].id]
        assert claimed.refused == ((bytes(16), Refusal.UNKNOWN), (jobs[1].id, Refusal.RUNNING))

    def test_one_named_twice_is_claimed_once(self, driver: Driver) -> None:
        job, same = driver.new(key="k"), driver.new(key="k", conflict=Conflict.KEEP)
        driver.add(job)
        driver.add(same)
        claimed = driver.claimed(driver.enlist(), ids=[same.id, job.id, job.id])
        assert [claim.id for claim in claimed.claims] == [job.id], "by the id of a call that joined it, too"
        assert claimed.refused == ((job.id, Refusal.RUNNING),) * 2

    def test_where_others_hold_them(self, driver: Driver) -> None:
        job, runner = driver.new(), driver.enlist()
        driver.add(job)
        claim = driver.claim_one(driver.enlist())
        assert why(driver, runner, job) is Refusal.RUNNING
        driver.finish(claim)
        assert why(driver, runner, job) is Refusal.ENDED

    def test_what_is_not_ready(self, driver: Driver) -> None:
        runner = driver.enlist()
        later, parked, cancelled = driver.new(after=60), driver.new(), driver.new()
        driver.add(later, parked, cancelled)
        driver.cancel(cancelled)
        driver.finish(driver.claim_one(runner), Parked(Reason.UNKNOWN_TASK, "", "why"))
        first, follower, held = (
            driver.new(),
            driver.new(follows=True, after=15),
            driver.new(held=True, after=15),
        )
        driver.add(first, follower)
        driver.add(held)
        assert [why(driver, runner, job) for job in (later, parked, cancelled, follower, held)] == [
            Refusal.NOT_DUE, Refusal.PARKED, Refusal.ENDED, Refusal.FOLLOWS, Refusal.FOLLOWS,
        ]  # fmt: skip
        driver.clock.advance(61)
        assert why(driver, runner, later) is Refusal.NOT_DUE, "nobody has made it ready"
        driver.promote()
        assert pick(driver, runner, later, follower) == [later.id, follower.id]

    def test_no_follower_comes_along(self, driver: Driver) -> None:
        jobs, runner = [driver.new(), driver.new(follows=True, after=15)], driver.enlist()
        driver.add(*jobs)
        claimed = driver.claimed(runner, behind=9, ids=[jobs[0].id])
        assert [(claim.id, claim.followed) for claim in claimed.claims] == [(jobs[0].id, True)]
        driver.finish(claimed.claims[0])
        assert pick(driver, runner, jobs[1]) == [jobs[1].id]

    def test_of_another_queue(self, driver: Driver) -> None:
        job, runner = driver.new(queue="mail"), driver.enlist()
        driver.add(job)
        claimed = driver.claimed(runner, ids=[job.id], queues=only({"default"}))
        assert claimed == Claimed([], refused=(Refused(job.id, Refusal.QUEUE),))
        assert len(driver.claimed(runner, ids=[job.id], queues=only({"mail"})).claims) == 1

    def test_for_a_runner_that_is_gone(self, driver: Driver) -> None:
        job, runner = driver.new(), driver.enlist()
        driver.add(job)
        driver.store.retire(runner.runner, draining=False).wait(PATIENCE)
        assert why(driver, runner, job) is Refusal.BURIED

    def test_what_is_paused(self, driver: Driver) -> None:
        of_queue, of_task = driver.new(queue="q"), driver.new("app:paused")
        driver.add(of_queue, of_task)
        driver.pause("queue", "q")
        driver.pause("task", "app:paused")
        runner = driver.enlist()
        for _ in range(2):
            assert [why(driver, runner, job) for job in (of_queue, of_task)] == [Refusal.PAUSED] * 2
        assert driver.lie(of_queue, of_task) == [
            (Stored.READY, Reason.PAUSED),
            (Stored.BLOCKED, Reason.PAUSED),
        ]
        driver.resume("queue", "q")
        driver.resume("task", "app:paused")
        assert pick(driver, runner, of_queue, of_task) == [of_queue.id, of_task.id]

    def test_what_takes_part_in_a_limit(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("queue", "q", 1), DeclaredLimits("task", "app:task", 1))
        in_queue = [driver.new("app:other", queue="q") for _ in range(2)]
        of_key = [driver.new(concurrency_key="x") for _ in range(2)]
        driver.add(*in_queue, *of_key)
        runner = driver.enlist()
        claimed = driver.claimed(runner, ids=[job.id for job in in_queue + of_key])
        assert [(claim.id, claim.limited) for claim in claimed.claims] == [
            (in_queue[0].id, True), (of_key[0].id, True),
        ]  # fmt: skip
        assert claimed.refused == ((in_queue[1].id, Refusal.LIMIT), (of_key[1].id, Refusal.LIMIT))
        for claim in claimed.claims:
            driver.finish(claim)
        assert pick(driver, runner, in_queue[1], of_key[1]) == [in_queue[1].id, of_key[1].id]

    def test_what_takes_part_in_a_rate(self, driver: Driver) -> None:
        driver.declare(
            DeclaredLimits("queue", "q", every=10 * SECOND),
            DeclaredLimits("task", "app:task", every=10 * SECOND),
        )
        in_queue = [driver.new("app:other", queue="q") for _ in range(2)]
        of_task = [driver.new() for _ in range(2)]
        driver.add(*in_queue, *of_task)
        runner = driver.enlist()
        claimed = driver.claimed(runner, ids=[job.id for job in in_queue + of_task])
        assert [claim.id for claim in claimed.claims] == [in_queue[0].id, of_task[0].id]
        assert claimed.refused == ((in_queue[1].id, Refusal.RATE), (of_task[1].id, Refusal.RATE))
        assert why(driver, runner, of_task[1]) is Refusal.RATE
        assert driver.lie(in_queue[1], of_task[1]) == [
            (Stored.READY, Reason.RATE), (Stored.BLOCKED, Reason.RATE),
        ]  # fmt: skip
        assert driver.record(of_task[1]).due == driver.after(10)
        driver.clock.advance(10)
        driver.promote()
        assert pick(driver, runner, in_queue[1], of_task[1]) == [in_queue[1].id, of_task[1].id]

    def test_more_than_can_start(self, driver: Driver) -> None:
        limited = [driver.new(concurrency_key="x") for _ in range(2)]
        others = [driver.new() for _ in range(2)]
        driver.add(*limited, *others)
        runner = driver.enlist()
        ids = [job.id for job in (limited[0], others[0])]
        claimed = driver.claimed(runner, ids=ids, free=FULL)
        assert [claim.id for claim in claimed.claims] == [others[0].id]
        assert claimed.refused == ((limited[0].id, Refusal.FULL),)
        claimed = driver.claimed(runner, 1, ids=[job.id for job in (limited[1], others[1])])
        assert [claim.id for claim in claimed.claims] == [limited[1].id]
        assert claimed.refused == ((others[1].id, Refusal.FULL),)

    def test_suspects_one_at_a_time(self, driver: Driver) -> None:
        jobs = [driver.new() for _ in range(2)]
        driver.add(*jobs)
        for job in jobs:
            runner = driver.enlist()
            (claim,) = driver.claimed(runner, ids=[job.id]).claims
            driver.start(runner, claim)
            driver.die(runner)
            driver.reap()
        runner = driver.enlist()
        assert why(driver, runner, jobs[0]) is Refusal.SUSPECT
        claimed = driver.claimed(runner, suspect=True, ids=[job.id for job in jobs])
        assert [(claim.id, claim.suspect) for claim in claimed.claims] == [(jobs[0].id, True)]
        assert claimed.refused == ((jobs[1].id, Refusal.SUSPECT),)

    def test_given_back_it_is_in_line_again(self, driver: Driver) -> None:
        jobs, runner = [driver.new() for _ in range(2)], driver.enlist()
        driver.add(*jobs)
        (claim,) = driver.claimed(runner, ids=[jobs[0].id]).claims
        assert driver.release(runner, claim) == 1
        assert [claim.id for claim in driver.claim(runner)] == [job.id for job in jobs]
