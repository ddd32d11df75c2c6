"""What a claim may answer: the protocol leaves it choices, so its answer is checked and taken over."""

from postlude.model.job import Claimed, FreeSlots
from postlude.model.state import Reason, Stored
from postlude.stores.protocol import Pause
from tests.stores.model import Model, ModelJob


class ClaimCheck:
    """One answer to a claim, against the model as it was before.

    Args:
        model: takes the answer over.
        runner: who has claimed.
        limit: how many at most.
        room: how many limited ones at most.
        now: when.
    """

    def __init__(self, model: Model, runner: int, limit: int, free: FreeSlots | None, now: int) -> None:
        self._model = model
        self._runner = runner
        self._limit = limit
        self._free = 1_000_000 if free is None else sum(free)
        self._now = now
        self._limited = 0
        self._aside = False

    def take_over(self, answer: Claimed) -> None:
        if self._runner not in self._model.leases:
            assert answer == Claimed([])
            return
        ready = self._model.ready()
        claimed = [self._claim(answer, number) for number in range(len(answer.claims))]
        aside = self._set_aside()
        for queue in {one.job.queue for one in claimed}:
            could = [one for one in ready if one.job.queue == queue and one not in aside]
            got = [one for one in claimed if one.job.queue == queue]
            assert got == could[: len(got)], "claimed out of order"
        assert len(claimed) <= self._limit
        assert self._limited <= self._free
        self._check_what_is_left(answer)

    def _claim(self, answer: Claimed, number: int) -> ModelJob:
        claim, model = answer.claims[number], self._model
        one = model.at(claim.seq)
        job = one.job
        assert one.stored is Stored.READY
        assert not {Pause("queue", job.queue), Pause("task", job.task)} & model.paused
        for name in (("task", job.task), ("queue", job.queue)):
            if name in model.rates:
                model.rates[name].take(self._now)
        assert not self._is_full(job.queue), "more run in a queue than may"
        one.taken_by(self._runner)
        assert (claim.id, claim.fence, claim.task, claim.queue) == (job.id, one.fence, job.task, job.queue)
        assert (claim.payload, claim.given.opts, claim.given.context) == (
            job.payload,
            job.terms.given.opts,
            job.terms.given.context,
        )
        assert (claim.failures, claim.suspect, claim.once) == (one.failures, False, job.terms.once)
        assert claim.limited is self._is_limited(one)
        self._limited += claim.limited
        return one

    def _set_aside(self) -> list[ModelJob]:
        """Take over what was blocked because its task is paused or may not start so many."""
        model, found = self._model, []
        for one in (*model.where(Stored.READY), *model.where(Stored.BLOCKED, Reason.LIMIT)):
            record = model.look(one)
            if record.stored is Stored.BLOCKED and record.reason in (Reason.PAUSED, Reason.RATE):
                found.append((record.due or 0, one, record.reason))
        found.sort(key=lambda each: each[0])
        done: list[ModelJob] = []
        while found:
            # One of a full concurrency key can only be met once another one of it has been set aside.
            next_one = next(each for each in found if each[1].stored is Stored.READY)
            found.remove(next_one)
            self._block(next_one[1], next_one[2])
            done.append(next_one[1])
        self._aside = bool(done)
        return done

    def _block(self, one: ModelJob, reason: Reason) -> None:
        model, task = self._model, one.job.task
        assert Pause("queue", one.job.queue) not in model.paused
        if reason is Reason.PAUSED:
            assert Pause("task", task) in model.paused
            one.goes(Stored.BLOCKED, reason)
        else:
            bucket = model.rates["task", task]
            assert bucket.first(self._now) > self._now, "refused although the rate allows it"
            one.goes(Stored.BLOCKED, reason, bucket.give_turn(self._now))
        model.enter([], [one.concurrency_key])

    def _check_what_is_left(self, answer: Claimed) -> None:
        model, now = self._model, self._now
        agains = []
        no_room = self._limited >= self._free
        wanting = False
        for queue in {one.job.queue for one in model.ready()}:
            if Pause("queue", queue) in model.paused:
                continue
            left = [one for one in model.ready() if one.job.queue == queue]
            wanting |= no_room and any(self._is_limited(one) for one in left)
            rate = model.rates.get(("queue", queue))
            if rate is not None and rate.first(now) > now:
                agains.append(rate.first(now))
            elif not self._is_full(queue) and not answer.more:
                assert not any(self._could_start(one) for one in left), "there is more, and nothing says so"
        if answer.more and len(answer.claims) < self._limit:
            assert self._aside or wanting, "there is no more"
        again = min(agains, default=None)
        assert answer.again == again or (answer.more and answer.again in (None, *agains))

    def _could_start(self, one: ModelJob) -> bool:
        rate = self._model.rates.get(("task", one.job.task))
        late = rate is not None and rate.first(self._now) > self._now
        return not late and Pause("task", one.job.task) not in self._model.paused

    def _is_limited(self, one: ModelJob) -> bool:
        model, job = self._model, one.job
        bounded = ("task", job.task) in model.rates or ("queue", job.queue) in model.bounds
        return job.terms.concurrency_key is not None or bounded

    def _is_full(self, queue: str) -> bool:
        bounds = self._model.bounds.get(("queue", queue))
        running = sum(one.job.queue == queue for one in self._model.where(Stored.RUNNING))
        return bounds is not None and bounds.concurrent is not None and running >= bounds.concurrent
