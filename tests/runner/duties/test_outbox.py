"""What a broker is given, by whom, and when again."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from postlude import Config
from postlude.clock import ManualClock
from postlude.model.event.broker import BrokerLost, BrokerReached, JobsPublished
from postlude.model.ids import IdSource
from postlude.model.job import NewJob
from postlude.model.outcome import SUCCEEDED, Finish
from postlude.model.queues import NONE, only
from postlude.model.state import State
from postlude.model.terms import Given, Terms
from postlude.runner.duties import outbox
from postlude.runner.duties.outbox import (
    IDLE_FOR,
    IDLE_PATIENCE,
    LONGEST,
    LOOK_EVERY,
    ROOM,
    SHORTEST,
    WINDOW,
    Outbox,
)
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Kind, NewRunner, Store
from postlude.telemetry.events import Events

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

IDS = IdSource()


class FakeBroker:
    """Takes what it is given, unless it is away."""

    def __init__(self) -> None:
        self.epoch = 1
        self.away: str | None = None
        self.refuses: set[bytes] = set()
        self.sent: list[bytes] = []
        self.traces: dict[bytes, Mapping[str, str]] = {}

    async def reach(self, queue: str) -> str | None:
        return self.away

    async def send(
        self, queue: str, ids: Sequence[bytes], traces: Mapping[bytes, Mapping[str, str]]
    ) -> Sequence[bytes]:
        self.traces |= traces
        self.sent += [id for id in ids if id not in self.refuses]
        return [id for id in ids if id in self.refuses]

    def given(self) -> list[bytes]:
        """Return what it has been given since this was last asked."""
        given, self.sent = self.sent, []
        return given


class Office:
    """A journal with an outbox, which takes its turns when it is told to."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store: Store = MemoryStore(self.clock)
        self.broker = FakeBroker()
        self.number = self.enlist(NewRunner("r", 15.0, queues=NONE))
        self.outbox = self.another(self.number)

    def another(self, number: int) -> Outbox:
        return Outbox("q", self.broker, self.store, lambda: number, Config(lease=15.0), self.clock)

    def enlist(self, new: NewRunner) -> int:
        return self.store.enlist(new).result().runner

    def child(self, slots: int = 1) -> int:
        return self.enlist(NewRunner("r", 1e9, Kind.ENGINE, only({"q"}), slots))

    def add(self, jobs: int) -> list[bytes]:
        now = self.clock.now()
        new = [NewJob(IDS.new(now), "t", "q", b'{"a":[],"k":{}}', now) for _ in range(jobs)]
        self.store.add(new).result()
        return [job.id for job in new]

    def run(self, runner: int, *ids: bytes) -> list[Finish]:
        claimed = self.store.claim(runner, len(ids), suspect=True, ids=ids).result()
        now = self.clock.now()
        return [Finish(claim.seq, claim.fence, "t", now, now, SUCCEEDED) for claim in claimed.claims]

    async def turn(self, after: float = 0.0) -> list[bytes]:
        """Let time pass, and take a turn; returns what the broker is given."""
        self.clock.advance(after)
        self.store.renew(self.number).result()
        await self.outbox._turn()
        return self.broker.given()


async def test_a_window_is_out_and_refilled_as_jobs_are_claimed() -> None:
    office = Office()
    ids = office.add(WINDOW + 3)
    child = office.child()
    assert await office.turn() == ids[:WINDOW]
    assert await office.turn() == []
    office.run(child, *ids[:2])
    assert await office.turn() == ids[WINDOW : WINDOW + 2]


async def test_a_full_window_is_filled_when_a_part_of_it_is_free() -> None:
    office = Office()
    ids = office.add(4 * WINDOW)
    child = office.child()
    await office.turn()
    office.run(child, *ids[:4])
    office.clock.advance(0.010)
    pause, heeds_news = await office.outbox._turn()
    assert pause == pytest.approx(0.010 * WINDOW / ROOM / 4)
    assert not heeds_news
    office.run(child, *ids[4 : 4 + WINDOW])
    office.clock.advance(0.010)
    assert await office.outbox._turn() == (SHORTEST, False), "it was empty"
    office.clock.advance(5.0)
    office.run(child, ids[4 + WINDOW])
    assert await office.outbox._turn() == (LONGEST, False)
    assert await office.outbox._turn() == (SHORTEST, False), "nothing was free"
    assert await office.outbox._turn() == (2 * SHORTEST, False)


async def test_with_room_in_the_window_news_are_heeded() -> None:
    office = Office()
    office.child()
    office.add(WINDOW - 1)
    assert await office.outbox._turn() == (LOOK_EVERY, True)
    office.add(1)
    assert await office.outbox._turn() == (LOOK_EVERY, True)
    office.add(1)
    assert (await office.outbox._turn())[1] is False, "it would turn for each job that is added"


async def test_with_many_slots_twice_as_many() -> None:
    office = Office()
    office.child(slots=WINDOW)
    ids = office.add(3 * WINDOW)
    assert await office.turn() == ids[: 2 * WINDOW]


async def test_the_trace_of_a_job_goes_with_its_id_and_nothing_else_of_it() -> None:
    office = Office()
    context = '{"tenant":"acme","traceparent":"00-1-2-01","tracestate":"v=1","tracelater":"5"}'
    terms = Terms(given=Given(context=context))
    job = NewJob(IDS.new(0), "t", "q", b'{"a":["secret"],"k":{}}', office.clock.now(), terms=terms)
    office.store.add([job]).result()
    (plain,) = office.add(1)
    assert await office.turn() == [job.id, plain]
    assert office.broker.traces == {job.id: {"traceparent": "00-1-2-01", "tracestate": "v=1"}}


async def test_a_workers_own_row_is_no_slot() -> None:
    office = Office()
    office.enlist(NewRunner("r", 1e9, Kind.ENGINE, only({"q"}), slots=0))
    ids = office.add(1)
    assert await office.turn() == ids
    assert await office.turn(LOOK_EVERY) == []
    assert await office.turn(IDLE_PATIENCE) == [], "there is no slot that waits for it"


async def test_one_process_does_it_for_all() -> None:
    office = Office()
    number = office.enlist(NewRunner("r", 15.0, queues=NONE))
    other = office.another(number)
    ids = office.add(1)
    assert await office.turn() == ids
    office.add(1)
    assert await other._turn() == (LOOK_EVERY, False)
    assert office.broker.given() == []
    office.store.retire(office.number, draining=True).result()
    await other._turn()
    assert len(office.broker.given()) == 2, "what the one before had published it may not have sent"


async def test_what_is_not_taken_waits_in_the_journal() -> None:
    office = Office()
    told: list[object] = []
    office.store.events.listen(told.append, BrokerLost)
    office.store.events.listen(told.append, BrokerReached)
    office.store.events.listen(told.append, JobsPublished)
    first, second = office.add(2)
    office.broker.refuses = {second}
    pause, heeds_news = await office.outbox._turn()
    assert (office.broker.given(), heeds_news) == ([first], False)
    assert pause > 0
    office.broker.away = "nobody there"
    assert (await office.outbox._turn())[0] == 2 * pause
    assert office.store.ready_ids("q", 9).result() == [second]
    office.broker.away, office.broker.refuses = None, set()
    assert set(await office.turn()) == {first, second}, "what it had may be gone"
    assert told == [
        JobsPublished("q", 1),
        BrokerLost("q", "it has not taken 1 of 2 messages"),
        JobsPublished("q", 2),
        BrokerReached("q"),
    ]


async def test_a_broker_that_was_away_is_given_all_again() -> None:
    office = Office()
    ids = office.add(2)
    assert await office.turn() == ids
    office.broker.epoch += 1
    assert await office.turn() == ids
    assert await office.turn() == []


async def test_a_slot_is_free_and_its_message_does_not_come() -> None:
    office = Office()
    ids = office.add(1)
    assert await office.turn() == ids
    assert await office.turn(IDLE_PATIENCE) == [], "nobody is there to take it"
    office.child()
    assert await office.turn(LOOK_EVERY) == [], "it has been free for a moment"
    assert await office.turn(IDLE_FOR) == ids
    assert await office.turn(IDLE_PATIENCE) == []
    assert await office.turn(IDLE_PATIENCE) == ids


async def test_each_process_that_takes_anothers_place_has_a_free_slot_for_a_moment() -> None:
    """What waits for it is no evidence: each message that comes twice would cost a process of one job."""
    office = Office()
    first, *_ = office.add(20)
    await office.turn()
    for _ in range(10):
        child = office.child()
        assert await office.turn(LOOK_EVERY) == []
        office.store.retire(child, draining=True).result()
    child = office.child()
    for _ in range(3):
        assert await office.turn(LOOK_EVERY) == []
        ends = office.run(child, first)
        assert await office.turn(LOOK_EVERY) == []
        office.store.finish(ends).result()
        (first,) = office.add(1)
        assert await office.turn() == [first]


async def test_long_jobs_ahead_make_no_storm_of_messages() -> None:
    """A hundred jobs of ten minutes, for one slot: 1,000 minutes."""
    office = Office()
    ids = set(office.add(100))
    child = office.child()
    messages = Counter(await office.turn())
    while ids:
        done = next(id for id in messages if id in ids)
        (finish,) = office.run(child, done)
        for _ in range(40):
            messages.update(await office.turn(15.0))
        assert office.store.finish([finish]).result() == [True]
        ids.discard(done)
        messages.update(await office.turn())
    assert max(messages.values()) <= 10, "doubling: 1, 2, 4 ... minutes, in the 640 that its window waits"


async def test_a_job_that_is_added_is_published_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "LOOK_EVERY", 60.0)
    office = Office()
    office.outbox.start()
    for _ in range(2):
        ids = office.add(1)
        async with asyncio.timeout(5):
            while not office.broker.sent:
                await asyncio.sleep(0.001)
        assert office.broker.given() == ids
    await office.outbox.stop()
    assert office.store.lead(office.enlist(NewRunner("r", 15.0)), "publish q", 9).result(), "it has let go"
    record = office.store.get(ids[0]).result()
    assert record is not None
    assert record.state is State.QUEUED


async def test_nothing_is_said_where_nobody_listens() -> None:
    office = Office()
    office.store.events = Events()
    office.add(1)
    assert len(await office.turn()) == 1
