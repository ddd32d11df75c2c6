"""A process of an engine's worker runs what it is told, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from postlude import Config, Job, JournalUnavailable, Postlude, State
from postlude.app.told import serving_as
from postlude.model import role as roles
from postlude.model.queues import only
from postlude.model.refusal import Refusal, Refused
from postlude.model.role import SERVER, Role
from postlude.runner.by_ids import ByIds
from postlude.stores.protocol import Kind
from postlude.stores.reply import Reply
from tests.app import work
from tests.app.conftest import folder as folder
from tests.app.conftest import location as location
from tests.app.conftest import log as log
from tests.app.serving import becomes

pytestmark = [
    pytest.mark.disk,
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]

ROLE = Role(True, only({"away", "default"}), 2, grace=0.0, told=True)


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
        yield postlude, ByIds(postlude.components.store, runner)


def ids(*jobs: Job[Any]) -> list[bytes]:
    return [job.raw_id for job in jobs]


async def test_these_run_and_no_others(tmp_path: Path, log: list[str]) -> None:
    async with told(tmp_path) as (postlude, by_ids):
        jobs = [await postlude.add_task(work.note, text) for text in "abc"]
        assert list(await by_ids.run(ids(jobs[2], jobs[0]))) == []
        assert sorted(log) == ["a", "c"]
        await becomes(postlude, jobs[2], State.SUCCEEDED)
        assert list(await by_ids.run([*ids(jobs[0]), bytes(16)])) == [
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
        await asyncio.gather(*(by_ids.run(ids(job)) for job in jobs))
        assert [set(each) for each in claimed] == [set(ids(*jobs))]
        assert sorted(log) == list("abcde")


async def test_one_that_is_asked_for_twice_runs_once(tmp_path: Path, log: list[str]) -> None:
    async with told(tmp_path) as (postlude, by_ids):
        job = await postlude.add_task(work.note, "a")
        answers = await asyncio.gather(*(by_ids.run(ids(job)) for _ in range(3)))
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
                await by_ids.run(ids(job))
        assert list(await by_ids.run(ids(job))) == []
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
                await by_ids.run(ids(job))
        await becomes(postlude, job, State.QUEUED)
        assert list(await by_ids.run(ids(job))) == []
        assert log == ["a"]


async def test_told_while_it_drains_it_gives_the_message_up(tmp_path: Path, log: list[str]) -> None:
    async with told(tmp_path) as (postlude, by_ids):
        job = await postlude.add_task(work.note, "a")
        store = postlude.components.store
        assert (await store.publish("default", 9, patience=60.0)).ids == ids(job)
        by_ids._runner.wind_down()
        assert list(await by_ids.run(ids(job))) == [Refused(job.raw_id, Refusal.BURIED)]
        assert await store.ready_ids("default", 9) == ids(job)
    assert log == []
