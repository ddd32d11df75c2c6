"""Which queue is run by which engine."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient

from postlude import Limit, Local, Postlude, Rate, State
from postlude.clock import SECOND
from postlude.engines.protocol import Engine, Run
from postlude.engines.routing import Routing, checked_queues
from postlude.errors import PostludeError
from postlude.model.event.jobs import JobsAdded
from postlude.model.job import Added, NewJob
from postlude.model.limits import DeclaredLimits
from postlude.model.queues import all_but, only
from postlude.model.role import SERVER, Role
from postlude.model.terms import Terms
from postlude.runner.duties import loop
from postlude.testing import PostludeJobs
from tests.app import work
from tests.app.serving import becomes
from tests.engines.toy import Toy


def test_a_queue_has_an_engine() -> None:
    assert checked_queues(None) == {}
    given = {"mail": Local()}
    assert checked_queues(given) == given
    assert checked_queues(given) is not given
    queues: Any = {"mail": Limit(10)}
    with pytest.raises(ValueError) as raised:
        Postlude(store="memory", queues=queues)
    assert str(raised.value) == (
        "queues={'mail': Limit(concurrent=10, per=None)}: give an engine, Local(...)"
    )


def test_what_the_journal_is_told() -> None:
    queues = {"a": Local(), "b": Local(Limit(4)), "c": Local(rate=Rate(2, per=4))}
    assert Routing(queues).limits() == [
        DeclaredLimits("queue", "a", None, None, 1),
        DeclaredLimits("queue", "b", 4, None, 1),
        DeclaredLimits("queue", "c", None, 2 * SECOND, 2),
    ]


def test_it_is_told_of_queues_and_tasks() -> None:
    postlude = Postlude(store="memory", queues={"mail": Local(Limit(10))})

    @postlude.task(name="send", limit=Limit(2))
    def send() -> None: ...

    assert postlude.components.bounds() == [
        DeclaredLimits("queue", "mail", 10, None, 1),
        DeclaredLimits("task", "send", 2, None, 1),
    ]
    assert postlude.components.producer.bounded_queues == {"mail"}


class Deaf(Toy):
    """An engine that nobody runs."""

    def __init__(self, promise: float = 0.0) -> None:
        super().__init__()
        self.promise = promise
        self.published: list[tuple[str, list[bytes]]] = []
        self.calls: list[str] = []

    def publish(self, queue: str, ids: Any) -> None:
        self.published.append((queue, list(ids)))

    async def start(self, run: Run) -> None:
        self.calls.append("start")

    async def stop(self, grace: float) -> None:
        self.calls.append("stop")

    def abandon(self) -> None:
        self.calls.append("abandon")


class Broken(Deaf):
    async def start(self, run: Run) -> None:
        raise OSError("no broker")


def test_what_follows_for_the_others() -> None:
    deaf = Deaf(2.0)
    routing = Routing({"a": Local(Limit(3)), "b": deaf, "c": deaf})
    assert [queue in routing.here for queue in ("a", "b", "c", "other")] == [True, False, False, True]
    assert routing.bounded == {"a"}
    assert routing.promises == {"b": 2.0, "c": 2.0}
    assert set(routing.publishers) == {"b", "c"}
    routing.publishers["c"]([b"x"])
    assert deaf.published == [("c", [b"x"])]


WORKER = Role(worker=True)
QUEUES: dict[str, Engine] = {"a": Local(), "b": Deaf(), "w": Local(run="workers"), "x": Local(run="workers")}


@pytest.mark.parametrize(
    ("role", "here"),
    [
        (SERVER, {"a", "other"}),
        (WORKER, {"a", "w", "x", "other"}),
        (replace(WORKER, queues=only({"w", "a"})), {"a", "w"}),
        (replace(WORKER, queues=all_but({"w"})), {"a", "x", "other"}),
    ],
)
def test_servers_leave_queues_to_workers_which_work_through_what_they_are_told(
    role: Role, here: set[str]
) -> None:
    routing = Routing(QUEUES, role)
    assert {name for name in ("a", "b", "w", "x", "other") if name in routing.here} == here
    assert routing.left == {"w", "x"}
    assert set(routing.publishers) == {"b"}
    clients_wait = routing.promises.keys() ^ {"b", "w", "x"}
    assert clients_wait == ({"w", "x"} if role.worker else set()), "no client waits for workers"


def test_a_worker_works_through_no_queue_of_another_engine() -> None:
    with pytest.raises(PostludeError) as raised:
        Routing(QUEUES, replace(WORKER, queues=only({"a", "b"})))
    assert str(raised.value) == (
        "queue 'b' is run by Deaf, not by a worker of this kind: leave it out of --queues"
    )


def test_what_is_added_and_could_start_is_published() -> None:
    deaf = Deaf()
    routing = Routing({"b": deaf, "c": deaf, "a": Local()})
    jobs = [NewJob(bytes([number]), "t", queue, b"", 0) for number, queue in enumerate("abbcb")]
    jobs[4] = jobs[4]._replace(terms=Terms(due=9))
    added = [Added(1, 0), Added(2, 0), Added(3, 0, joined=True), Added(4, 0), Added(5, 0)]
    routing.added(JobsAdded(jobs, added))
    assert deaf.published == [("b", [bytes([1])]), ("c", [bytes([3])])]


def test_the_first_lifespan_starts_engines_and_the_last_stops_them() -> None:
    deaf = Deaf()

    async def no_run(ids: Any) -> Any: ...

    async def live(routing: Routing) -> None:
        await routing.start(no_run)
        await routing.start(no_run)
        await routing.stop(1)
        assert deaf.calls == ["start"]
        await routing.stop(1)
        await routing.start(no_run)
        routing.abandon()

    asyncio.run(live(Routing({"b": deaf, "c": deaf})))
    assert deaf.calls == ["start", "stop", "start", "abandon"]


def test_an_engine_that_cannot_start_is_no_application_that_can(location: str) -> None:
    deaf = Deaf()
    app = FastAPI()
    postlude = Postlude(app, store=location, queues={"b": deaf, "c": Broken()})
    with pytest.raises(OSError, match="no broker"), TestClient(app):
        pass
    assert deaf.calls == ["start", "stop"]
    assert postlude.components.producer.runners == []


def shop(location: str, engine: Deaf) -> tuple[Postlude, FastAPI]:
    app = FastAPI()
    postlude = Postlude(app, store=location, queues={"away": engine})
    away = postlude.task(work.note_sync, name="away", queue="away")

    @app.post("/notes")
    async def note(background_tasks: BackgroundTasks) -> None:
        background_tasks.add_task(work.note, "here")
        background_tasks.add_task(away, "away")

    return postlude, app


@pytest.mark.parametrize("lifespan", [True, False])
def test_a_client_waits_no_longer_than_the_engine_promises(
    location: str, log: list[str], lifespan: bool
) -> None:
    """And what is run here is not kept waiting."""
    engine = Deaf(0.12)
    _, app = shop(location, engine)
    client = TestClient(app)
    if lifespan:
        with client:
            since = time.monotonic()
            client.post("/notes")
    else:
        client.post("/notes")  # opens the journal
        log.clear()
        since = time.monotonic()
        client.post("/notes")
    assert 0.12 <= time.monotonic() - since < 4
    assert log == ["here"]
    assert {queue for queue, _ in engine.published} == {"away"}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_no_runner_takes_what_another_engine_runs(
    location: str, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "PUBLISH_EVERY", 0.05)
    engine = Deaf()
    postlude = Postlude(store=location, queues={"away": engine})
    away = postlude.task(work.note_sync, name="away", queue="away")
    await postlude.open()
    await postlude.start()
    jobs = [await postlude.add_task(away, "away"), *await postlude.add_tasks([away.call("bulk")])]
    jobs.append(await asyncio.to_thread(postlude.blocking.add_task, away, "blocking"))
    here = await postlude.add_task(work.note, "here")
    await becomes(postlude, here, State.SUCCEEDED)
    assert [(await postlude.inspector.get(job.id)).state for job in jobs] == [State.QUEUED] * 3
    ids = {bytes.fromhex(job.id.replace("-", "")) for job in jobs}
    assert {id for _, published in engine.published for id in published} == ids
    engine.published.clear()

    async def again() -> None:
        while not engine.published:
            await asyncio.sleep(0.01)

    await asyncio.wait_for(again(), 10)
    assert [(queue, set(published)) for queue, published in engine.published] == [("away", ids)]
    await postlude.drain()
    await postlude.close()


@pytest.mark.disk
@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_a_broker_had_runs_here_when_its_queue_is_run_here_again(
    tmp_path: Path, log: list[str]
) -> None:
    location = f"sqlite:///{tmp_path}/jobs.db"
    before = Postlude(store=location, queues={"away": Deaf()})
    job = await before.add_task(before.task(work.note_sync, name="away", queue="away"), "away")
    assert len((await before.components.store.publish("away", 9, patience=60.0)).ids) == 1
    await before.close()
    now = Postlude(store=location)
    now.task(work.note_sync, name="away", queue="away")
    await now.open()
    await now.start()
    await becomes(now, job, State.SUCCEEDED)
    await now.drain()
    await now.close()


def test_a_test_that_holds_jobs_holds_those_of_every_engine(log: list[str]) -> None:
    engine = Deaf()
    _, app = shop("memory", engine)
    with PostludeJobs() as jobs, TestClient(app) as client:
        client.post("/notes")
        assert jobs.count() == 2
        jobs.drain()
        assert sorted(log) == ["away", "here"]
    assert (engine.published, engine.calls) == ([], [])
