"""A process of an engine's worker runs what it is told, and nothing else."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from postlude import Config, Job, JournalUnavailable, Limit, Postlude, State
from postlude.app.told import serving_as
from postlude.model import role as roles
from postlude.model.queues import only
from postlude.model.refusal import Refusal, Refused
from postlude.model.role import SERVER, Role
from postlude.runner import surplus
from postlude.runner.attempt.work import Work
from postlude.runner.by_ids import MOST_AHEAD, ByIds
from postlude.runner.pace import TRUE_FOR
from postlude.stores.protocol import Kind
from postlude.stores.reply import Reply
from tests.app import work
from tests.app.conftest import folder as folder
from tests.app.conftest import location as location
from tests.app.conftest import log as log
from tests.app.serving import becomes, eventually

pytestmark = [
    pytest.mark.disk,
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]

ROLE = Role(True, only({"away", "default"}), 2, grace=0.0, told=True)


GOES_ON = threading.Event()


def last_long() -> None:
    """A job that is long."""
    assert GOES_ON.wait(30)


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the process is after the test."""
    monkeypatch.setattr(roles, "_this", SERVER)


@asynccontextmanager
async def told(folder: Path) -> AsyncIterator[tuple[Postlude, ByIds]]:
    postlude = Postlude(store=f"sqlite:///{folder}/jobs.db", config=Config(tune_gc=False, poll_every=0.02))
    async with serving_as(postlude, ROLE):
        runner = postlude.components._served.runner
        assert runner is not None
        yield postlude, ByIds(postlude.components.store, runner, postlude.components._has_bounds)


def ids(*jobs: Job[Any]) -> list[bytes]:
    return [job.raw_id for job in jobs]


async def test_these_run_and_no_others(tmp_path: Path, log: list[str]) -> None:
    async with told(tmp_path) as (postlude, by_ids):
        jobs = [await postlude.add_task(work.note, text) for text in "abc"]
        assert list(await by_ids(ids(jobs[2], jobs[0]))) == []
        assert sorted(log) == ["a", "c"]
        await becomes(postlude, jobs[2], State.SUCCEEDED)
        assert list(await by_ids([*ids(jobs[0]), bytes(16)])) == [
            Refused(ids(jobs[0])[0], Refusal.ENDED),
            Refused(bytes(16), Refusal.UNKNOWN),
        ]
        assert (await postlude.inspector.get(jobs[1].id)).state is State.QUEUED


async def test_those_who_look_see_which_queues_it_runs(tmp_path: Path) -> None:
    async with told(tmp_path) as (postlude, _):
        (runner,) = await postlude.components.store.living()
        assert (runner.kind, runner.queues, runner.slots) == (Kind.ENGINE, ROLE.queues, 2)


async def test_what_is_asked_for_at_once_is_claimed_together(
    tmp_path: Path, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with told(tmp_path) as (postlude, by_ids):
        jobs = [await postlude.add_task(work.note, text) for text in "abcde"]
        store = postlude.components.store
        claim, claimed = store.claim, []

        def noting(*arguments: Any, **options: Any) -> Any:
            claimed.append(options["ids"])
            return claim(*arguments, **options)

        monkeypatch.setattr(store, "claim", noting)
        await asyncio.gather(*(by_ids(ids(job)) for job in jobs))
        assert [set(each) for each in claimed] == [set(ids(*jobs))]
        assert sorted(log) == list("abcde")


async def test_one_that_is_asked_for_twice_runs_once(tmp_path: Path, log: list[str]) -> None:
    async with told(tmp_path) as (postlude, by_ids):
        job = await postlude.add_task(work.note, "a")
        answers = await asyncio.gather(*(by_ids(ids(job)) for _ in range(3)))
        assert sorted(map(list, answers), key=len) == [[], *2 * [[Refused(job.raw_id, Refusal.RUNNING)]]]
        assert log == ["a"]


async def test_the_journal_cannot_be_written(
    tmp_path: Path, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with told(tmp_path) as (postlude, by_ids):
        job = await postlude.add_task(work.note, "a")
        store = postlude.components.store
        with monkeypatch.context() as broken:
            broken.setattr(store, "claim", lambda *a, **k: Reply.failed(JournalUnavailable("full")))
            with pytest.raises(JournalUnavailable):
                await by_ids(ids(job))
        assert list(await by_ids(ids(job))) == []
        assert log == ["a"]


async def test_a_claim_of_which_the_answer_was_lost_is_given_back(
    tmp_path: Path, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with told(tmp_path) as (postlude, by_ids):
        job = await postlude.add_task(work.note, "a")
        store = postlude.components.store
        claim = store.claim

        async def lost(*arguments: Any, **options: Any) -> Any:
            await claim(*arguments, **options)
            raise JournalUnavailable("the connection is lost")

        with monkeypatch.context() as broken:
            broken.setattr(store, "claim", lost)
            with pytest.raises(JournalUnavailable):
                await by_ids(ids(job))
        await becomes(postlude, job, State.QUEUED)
        assert list(await by_ids(ids(job))) == []
        assert log == ["a"]


async def test_told_while_it_drains_it_gives_the_message_up(tmp_path: Path, log: list[str]) -> None:
    async with told(tmp_path) as (postlude, by_ids):
        job = await postlude.add_task(work.note, "a")
        store = postlude.components.store
        assert (await store.publish("default", 9, patience=60.0)).ids == ids(job)
        by_ids._runner.wind_down()
        assert list(await by_ids(ids(job))) == [Refused(job.raw_id, Refusal.BURIED)]
        assert await store.ready_ids("default", 9) == ids(job)
    assert log == []


class Heard:
    """What is said of jobs that were handed over."""

    def __init__(self) -> None:
        self.answers: dict[bytes, Refusal | BaseException | None] = {}

    def hand(self, by_ids: ByIds, *jobs: Job[Any]) -> None:
        for job in jobs:
            by_ids.hand(job.raw_id, partial(self.answers.__setitem__, job.raw_id))

    async def all_of(self, *jobs: Job[Any]) -> list[Refusal | BaseException | None]:
        async def heard() -> list[Refusal | BaseException | None] | None:
            return [self.answers[id] for id in ids(*jobs)] if self.answers.keys() >= {*ids(*jobs)} else None

        return await eventually(heard)


async def test_what_is_handed_over_is_claimed_and_run_and_its_end_is_told(
    tmp_path: Path, log: list[str]
) -> None:
    async with told(tmp_path) as (postlude, by_ids):
        jobs = [await postlude.add_task(work.note, text) for text in "abc"]
        heard = Heard()
        thread = threading.Thread(target=heard.hand, args=(by_ids, *jobs))
        thread.start()
        assert await heard.all_of(*jobs) == [None] * 3
        thread.join()
        assert sorted(log) == ["a", "b", "c"]
        heard.answers.clear()
        heard.hand(by_ids, jobs[0])
        assert await heard.all_of(jobs[0]) == [Refusal.ENDED]


@pytest.mark.parametrize("look", [2, 3], ids=["before it is noted", "after that"])
async def test_what_is_handed_over_while_it_goes_to_sleep_is_claimed(
    tmp_path: Path, log: list[str], look: int
) -> None:
    async with told(tmp_path) as (postlude, by_ids):
        first, late = [await postlude.add_task(work.note, text) for text in "ab"]
        heard = Heard()

        class Asked(deque[Any]):
            empty = 0

            def __bool__(self) -> bool:
                """Asked by who takes what is there, then twice by who is to sleep: and something comes."""
                something = len(self) > 0
                self.empty += not something
                if not something and self.empty == look:
                    heard.hand(by_ids, late)
                return something

        by_ids._handed = Asked()
        heard.hand(by_ids, first)
        assert await heard.all_of(first, late) == [None] * 2


class TakenBack(Work):
    """A work that the heartbeat's thread takes back just after it is seen to be held still."""

    seen = False

    @property
    def written(self) -> bool:
        before, self.seen = self.seen, True
        if not before:
            self.end()
        return before

    @written.setter
    def written(self, written: bool) -> None: ...


async def test_what_the_heartbeat_takes_back_as_it_is_claimed_is_over(
    tmp_path: Path, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with told(tmp_path) as (postlude, by_ids):
        job = await postlude.add_task(work.note, "a")

        def accept(claims: Any) -> list[Work]:
            return [TakenBack(claim.id, claim.task, claim.queue, b"", 0) for claim in claims]

        monkeypatch.setattr(by_ids._runner, "accept", accept)
        heard = Heard()
        heard.hand(by_ids, job)
        assert await heard.all_of(job) == [None]


async def test_of_jobs_at_most_once_no_more_are_held_than_have_places(tmp_path: Path, log: list[str]) -> None:
    async with told(tmp_path) as (postlude, by_ids):
        GOES_ON.clear()
        once = postlude.task(last_long, name="once", delivery="at_most_once")
        jobs = [await postlude.add_task(once) for _ in range(5)]
        heard, store = Heard(), postlude.components.store
        by_ids._runner.pace._soon, by_ids._runner.pace._since = 9, float("inf")
        assert by_ids.ahead == 9
        heard.hand(by_ids, *jobs)
        assert await heard.all_of(*jobs[2:]) == [Refusal.BURIED] * 3
        assert await store.ready_ids("default", 9) == ids(*jobs[2:])
        assert by_ids.ahead == 0, "the death of this process would be the end of all that are held"
        GOES_ON.set()
        assert await heard.all_of(*jobs[:2]) == [None] * 2


async def test_what_waits_here_for_its_place_has_not_started(tmp_path: Path, log: list[str]) -> None:
    async with told(tmp_path) as (postlude, by_ids):
        GOES_ON.clear()
        jobs = [await postlude.add_task(last_long) for _ in range(5)]
        heard, store = Heard(), postlude.components.store
        heard.hand(by_ids, *jobs)

        async def begun() -> list[bool] | None:
            records = [await store.get(job.raw_id) for job in jobs]
            starts = [record is not None and record.started is not None for record in records]
            return starts if any(starts) and by_ids._runner.load == 5 else None

        assert sum(await eventually(begun)) <= 2
        GOES_ON.set()
        await heard.all_of(*jobs)


async def test_an_error_of_the_journal_is_told_to_who_has_handed_over(
    tmp_path: Path, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with told(tmp_path) as (postlude, by_ids):
        job = await postlude.add_task(work.note, "a")
        heard, full = Heard(), JournalUnavailable("full")
        with monkeypatch.context() as broken:
            broken.setattr(postlude.components.store, "claim", lambda *a, **k: Reply.failed(full))
            heard.hand(by_ids, job)
            assert await heard.all_of(job) == [full]
        heard.answers.clear()
        heard.hand(by_ids, job)
        assert await heard.all_of(job) == [None]
        assert log == ["a"]


async def test_as_many_may_be_handed_over_ahead_as_end_in_a_moment(tmp_path: Path, log: list[str]) -> None:
    async with told(tmp_path) as (postlude, by_ids):
        assert by_ids.ahead == 0, "nothing has been measured"
        heard = Heard()
        runner = by_ids._runner

        async def quick() -> bool | None:
            jobs = [await postlude.add_task(work.note, text) for text in "abcdefgh"]
            heard.hand(by_ids, *jobs)
            await heard.all_of(*jobs)
            return by_ids.ahead > 0 or None

        await eventually(quick)
        assert by_ids.ahead <= MOST_AHEAD
        runner.pace._since -= TRUE_FOR
        assert by_ids.ahead == 0, "none has ended lately"
        await eventually(quick)
        postlude.task(work.note, name="bounded", limit=Limit(1))
        assert by_ids.ahead == 0, "a limited job is claimed to start"


async def test_what_was_handed_over_ahead_is_given_back_if_the_one_before_it_is_long(
    tmp_path: Path, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surplus, "HELD_FOR", 0.05)
    async with told(tmp_path) as (postlude, by_ids):
        GOES_ON.clear()
        store = postlude.components.store
        long = [await postlude.add_task(last_long) for _ in range(ROLE.concurrency or 0)]
        others = [await postlude.add_task(work.note, text) for text in "abc"]
        published = await store.publish("default", 9, patience=60.0)
        assert len(published.ids) == 5
        heard = Heard()
        heard.hand(by_ids, *long, *others)
        assert await heard.all_of(*others) == [None] * 3
        assert not heard.answers.keys() & {*ids(*long)}

        async def given_back() -> bool | None:  # and its message is used up: it is published anew
            return set(await store.ready_ids("default", 9)) == {*ids(*others)} or None

        await eventually(given_back)
        GOES_ON.set()
        assert await heard.all_of(*long) == [None] * 2
        assert log == []


async def test_while_all_places_are_taken_by_long_jobs_others_are_given_the_message(
    tmp_path: Path, log: list[str]
) -> None:
    async with told(tmp_path) as (postlude, by_ids):
        GOES_ON.clear()
        heard, store, runner = Heard(), postlude.components.store, by_ids._runner
        long = [await postlude.add_task(last_long) for _ in range(ROLE.concurrency or 0)]
        heard.hand(by_ids, *long)

        async def all_run() -> bool | None:
            return not any(runner.free) or None

        await eventually(all_run)
        job = await postlude.add_task(work.note, "a")
        assert (await store.publish("default", 9, patience=60.0)).ids == ids(job)
        heard.hand(by_ids, job)
        assert await heard.all_of(job) == [Refusal.FULL]
        assert await store.ready_ids("default", 9) == ids(job)
        GOES_ON.set()
        assert await heard.all_of(*long) == [None] * 2
        heard.answers.clear()
        heard.hand(by_ids, job)
        assert await heard.all_of(job) == [None]
        assert log == ["a"]


async def test_where_the_loop_has_closed_whoever_hands_over_hears_that_nothing_comes_of_it(
    tmp_path: Path, log: list[str]
) -> None:
    async with told(tmp_path) as (postlude, by_ids):
        job = await postlude.add_task(work.note, "a")
        closed = asyncio.new_event_loop()
        closed.close()
        heard = Heard()
        with pytest.MonkeyPatch.context() as ended:
            ended.setattr(by_ids._runner, "loop", closed)
            heard.hand(by_ids, job)
        assert heard.answers == {job.raw_id: Refusal.BURIED}
    assert log == []
