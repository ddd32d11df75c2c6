"""What brokers are told: a window of a queue is published, comes again later, and is claimed by ids."""

from postlude.clock import SECOND
from postlude.model.job import Cancel, NewJob
from postlude.model.limits import DeclaredLimits
from postlude.model.queues import ALL, only
from postlude.model.refusal import Refusal, Refused
from postlude.model.state import State, Stored
from postlude.model.terms import Conflict
from postlude.stores.outgoing import Outgoing, OutState
from postlude.stores.protocol import Enlisted, Kind
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver

LONG = 60.0


def publish(driver: Driver, window: int = 9, *, queue: str = "q", patience: float = LONG) -> Outgoing:
    return driver.store.publish(queue, window, patience=patience).wait(PATIENCE)


def several(driver: Driver, jobs: int, **terms: int) -> list[NewJob]:
    found = [driver.new(queue="q", **terms) for _ in range(jobs)]  # type: ignore[arg-type]
    driver.add(*found)
    return found


def ids(*jobs: NewJob) -> list[bytes]:
    return [job.id for job in jobs]


def refusals(driver: Driver, runner: Enlisted, *jobs: NewJob) -> tuple[Refused, ...]:
    return driver.claimed(runner, ids=ids(*jobs)).refused


class PublishingCases(Cases):
    def test_a_window_is_published_in_the_order_of_claims(self, driver: Driver) -> None:
        late = several(driver, 2, priority=1)
        soon = several(driver, 2)
        driver.add(driver.new(queue="other"), driver.new(queue="q", after=9))
        assert publish(driver, 3)[:4] == (ids(*soon, late[0]), 3, True, None)
        assert publish(driver, 3)[:4] == ([], 3, True, None)
        assert [stored for stored, _ in driver.lie(*soon, *late)] == [Stored.PUBLISHED] * 3 + [Stored.READY]
        assert driver.states(*soon) == [State.QUEUED] * 2
        assert publish(driver, 4)[:4] == (ids(late[1]), 4, False, None)
        assert publish(driver, 9, queue="none")[:4] == ([], 0, False, None)

    def test_what_travels_with_a_job_is_told_with_its_id(self, driver: Driver) -> None:
        text = '{"traceparent":"00-1-2-01","tenant":"caf\\u00e9 é"}'
        job, plain = driver.new(queue="q", context=text), driver.new(queue="q")
        driver.add(job, plain)
        assert publish(driver).contexts == {job.id: text}
        assert publish(driver, patience=0) == (ids(job, plain), 2, False, None, {job.id: text})

    def test_what_of_each_queue_is_published(self, driver: Driver) -> None:
        def published() -> list[OutState]:
            return driver.store.published().wait(PATIENCE)

        driver.add(driver.new(queue="r"), driver.new(queue="r"), driver.new(queue="none"))
        several(driver, 2)
        assert published() == []
        publish(driver, 1, queue="r")
        early = driver.clock.now()
        driver.clock.advance(5)
        publish(driver, 1)
        publish(driver, 1, patience=0)
        publish(driver, queue="r")
        assert published() == [OutState("q", 1, driver.clock.now(), 2), OutState("r", 2, early, 1)]

    def test_who_does_not_hear_its_broker(self, driver: Driver) -> None:
        def deaf() -> list[float | None]:
            return [one.deaf for one in driver.store.living().wait(PATIENCE)]

        def renew(hears: bool | None) -> None:
            driver.clock.advance(2)
            driver.store.renew(worker.runner, hears=hears).wait(PATIENCE)

        worker = driver.enlist(kind=Kind.ENGINE, slots=0, queues=only({"mail"}))
        told = []
        for hears in (None, False, True, None, False, None, False, True):
            renew(hears)
            told.append(deaf())
        assert told == [[None], [None], [None], [None], [2.0], [4.0], [6.0], [None]]

    def test_only_claims_by_id_take_what_is_published(self, driver: Driver) -> None:
        first, second = several(driver, 2)
        publish(driver)
        runner = driver.enlist()
        assert driver.claim(runner) == []
        (claim,) = driver.claimed(runner, ids=ids(second)).claims
        assert publish(driver).out == 1
        assert driver.finish(claim)
        assert driver.states(first, second) == [State.QUEUED, State.SUCCEEDED]
        assert {count.state: count.jobs for count in driver.store.counts().wait(PATIENCE)} == {
            State.QUEUED: 1,
            State.SUCCEEDED: 1,
        }
        (queue,) = driver.store.queues().wait(PATIENCE)
        assert (queue.name, queue.ready, queue.running, queue.oldest) == ("q", 1, 0, first.created)

    def test_they_come_again_after_twice_as_long_each_time(self, driver: Driver) -> None:
        (job,) = several(driver, 1)
        assert publish(driver, patience=10).ids == ids(job)
        for seconds in (10, 20, 40):
            driver.clock.advance(seconds - 1)
            assert publish(driver, patience=10).ids == []
            driver.clock.advance(1)
            assert publish(driver, patience=10)[:4] == (ids(job), 1, False, None)
        assert publish(driver, patience=0).ids == ids(job)

    def test_an_attempt_starts_it_afresh(self, driver: Driver) -> None:
        (job,) = several(driver, 1)
        for _ in range(4):
            publish(driver, patience=0)
        runner = driver.enlist()
        (claim,) = driver.claimed(runner, ids=ids(job)).claims
        assert driver.finish(claim, driver.failed(retry_after=1))
        driver.clock.advance(1)
        assert driver.promote() == 1
        assert publish(driver, patience=10).ids == ids(job)
        driver.clock.advance(10)
        assert publish(driver, patience=10).ids == ids(job)

    def test_what_comes_again_comes_first_beside_the_window(self, driver: Driver) -> None:
        (old,) = several(driver, 1)
        publish(driver)
        new = several(driver, 2)
        assert publish(driver, 2, patience=0)[:4] == (ids(old, new[0]), 2, True, None)

    def test_withdrawn_they_are_ready(self, driver: Driver) -> None:
        first, second = several(driver, 2)
        other = driver.new(queue="r")
        driver.add(other)
        publish(driver)
        publish(driver, queue="r")
        withdraw = driver.store.withdraw
        assert withdraw(only({"r"}), ids(first)).wait(PATIENCE) == 0
        assert withdraw(ALL, [*ids(second), bytes(16)]).wait(PATIENCE) == 1
        assert [stored for stored, _ in driver.lie(first, second)] == [Stored.PUBLISHED, Stored.READY]
        assert publish(driver)[:4] == (ids(second), 2, False, None)
        assert withdraw(only({"q"})).wait(PATIENCE) == 2
        assert withdraw(only({"q"})).wait(PATIENCE) == 0
        assert [claim.id for claim in driver.claim(driver.enlist())] == ids(first, second)
        assert driver.lie(other) == [(Stored.PUBLISHED, None)]

    def test_what_does_not_hold_has_no_effect_on_others(self, driver: Driver) -> None:
        running, ended, published = several(driver, 3)
        runner = driver.enlist()
        publish(driver)
        (claim,) = driver.claimed(runner, ids=ids(ended)).claims
        driver.finish(claim)
        driver.claimed(runner, ids=ids(running))
        assert driver.store.withdraw(ALL, ids(running, ended)).wait(PATIENCE) == 0
        assert driver.states(running, ended) == [State.RUNNING, State.SUCCEEDED]
        assert driver.cancel(published) == [Cancel.CANCELLED]
        assert driver.store.withdraw(ALL).wait(PATIENCE) == 0

    def test_nothing_is_published_while_its_queue_is_paused(self, driver: Driver) -> None:
        jobs = several(driver, 2)
        publish(driver, 1)
        driver.pause("queue", "q")
        assert publish(driver, patience=0)[:4] == ([], 1, False, None)
        runner = driver.enlist()
        assert refusals(driver, runner, jobs[0]) == ((jobs[0].id, Refusal.PAUSED),)
        assert driver.lie(jobs[0])[0][0] is Stored.READY, "its message is used up"
        driver.resume("queue", "q")
        assert publish(driver)[:4] == (ids(*jobs), 2, False, None)

    def test_a_task_that_is_paused_is_blocked_when_it_is_claimed(self, driver: Driver) -> None:
        (job,) = several(driver, 1)
        publish(driver)
        driver.pause("task", job.task)
        assert refusals(driver, driver.enlist(), job) == ((job.id, Refusal.PAUSED),)
        assert publish(driver).ids == []
        driver.resume("task", job.task)
        assert publish(driver).ids == ids(job)

    def test_no_more_are_published_than_a_limit_lets_start(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("queue", "q", 2))
        first, second, third = several(driver, 3)
        assert publish(driver)[:4] == (ids(first, second), 2, False, None)
        runner = driver.enlist()
        claims = driver.claimed(runner, ids=ids(first, second)).claims
        assert publish(driver)[:4] == ([], 0, False, None)
        driver.finish(claims[0])
        assert publish(driver)[:4] == (ids(third), 1, False, None)
        assert publish(driver, 0, patience=0).ids == ids(third)

    def test_refused_for_a_limit_it_is_published_again(self, driver: Driver) -> None:
        jobs = several(driver, 2)
        publish(driver)
        driver.declare(DeclaredLimits("queue", "q", 1))
        runner = driver.enlist()
        (claim,) = driver.claimed(runner, ids=ids(jobs[0])).claims
        assert refusals(driver, runner, jobs[1]) == ((jobs[1].id, Refusal.LIMIT),)
        assert publish(driver).ids == []
        driver.finish(claim)
        assert publish(driver).ids == ids(jobs[1])

    def test_a_rate_says_when_the_next_is_published(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("queue", "q", every=10 * SECOND))
        first, second = several(driver, 2)
        assert publish(driver).ids == ids(first)
        driver.claimed(driver.enlist(), ids=ids(first))
        assert publish(driver)[:4] == ([], 0, False, driver.after(10))
        driver.clock.advance(10)
        assert publish(driver)[:4] == (ids(second), 1, False, None)

    def test_a_concurrency_key_counts_what_is_published(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("task", "app:task", 1))
        jobs = [driver.new(queue="q", concurrency_key="a") for _ in range(2)]
        driver.add(*jobs)
        assert publish(driver)[:4] == (ids(jobs[0]), 1, False, None)
        assert driver.cancel(jobs[0]) == [Cancel.CANCELLED]
        assert publish(driver).ids == ids(jobs[1])

    def test_another_call_of_its_key_takes_its_place(self, driver: Driver) -> None:
        old = driver.new(queue="q", key="k", payload=b'{"a":[1],"k":{}}')
        driver.add(old)
        publish(driver)
        driver.add(driver.new(queue="q", key="k", conflict=Conflict.REPLACE, payload=b'{"a":[2],"k":{}}'))
        (claim,) = driver.claimed(driver.enlist(), ids=ids(old)).claims
        assert claim.payload == b'{"a":[2],"k":{}}'

    def test_replaced_it_leaves_its_place_of_a_concurrency_key(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("task", "app:task", 1))
        first, second = (driver.new(queue="q", key=key, concurrency_key="a") for key in "kl")
        driver.add(first, second)
        assert publish(driver).ids == ids(first)
        instead = driver.new(queue="q", key="k", conflict=Conflict.REPLACE, concurrency_key="b")
        driver.add(instead)
        assert publish(driver).ids == ids(instead, second)

    def test_given_back_it_is_ready(self, driver: Driver) -> None:
        (job,) = several(driver, 1)
        publish(driver)
        runner = driver.enlist()
        (claim,) = driver.claimed(runner, ids=ids(job)).claims
        driver.release(runner, claim)
        assert publish(driver).ids == ids(job)

    def test_of_the_dead_it_is_published_again(self, driver: Driver) -> None:
        (job,) = several(driver, 1)
        publish(driver)
        runner = driver.enlist()
        driver.claimed(runner, ids=ids(job))
        driver.die(runner)
        assert driver.reap() == (1, 1, 0)
        assert publish(driver).ids == ids(job)
        assert driver.record(job).deaths == 1

    def test_it_stays_published(self, driver: Driver) -> None:
        (job,) = several(driver, 1)
        publish(driver)
        driver.reopen()
        assert driver.lie(job) == [(Stored.PUBLISHED, None)]
        assert publish(driver).ids == []
