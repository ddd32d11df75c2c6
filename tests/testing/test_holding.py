"""In a test with `postlude_jobs` jobs are stored as ever, and run when the test says so."""

import gc
import weakref
from collections.abc import Iterator

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient

from postlude import JournalUnavailable, Postlude, PostludeError
from postlude.model.state import State
from postlude.stores.reply import Reply
from postlude.testing import PostludeJobs
from tests.testing.shop import app, order, postlude, send_receipt, write_ledger


@pytest.fixture
def client() -> TestClient:
    return TestClient(app)


@pytest.fixture
def served() -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("number", [1, 2])
def test_each_test_sees_its_own_jobs(
    number: int, client: TestClient, postlude_jobs: PostludeJobs, done: list[str]
) -> None:
    client.post("/orders", params={"number": number, "to": "ada"})
    assert [job.task.rpartition(":")[2] for job in postlude_jobs.added()] == ["send_receipt", "write_ledger"]
    postlude_jobs.assert_added(send_receipt, number, to="ada")
    assert done == []


def test_jobs_are_held_in_a_lifespan_that_begins_before_the_fixture(
    served: TestClient, postlude_jobs: PostludeJobs, done: list[str]
) -> None:
    served.post("/orders", params={"number": 1, "to": "ada"})
    assert postlude_jobs.count() == 2
    assert done == []
    postlude_jobs.drain()
    assert done == ["receipt 1 ada", "ledger 1"]


def test_jobs_are_held_in_a_lifespan_that_begins_after_the_fixture(
    postlude_jobs: PostludeJobs, served: TestClient, done: list[str]
) -> None:
    served.post("/orders", params={"number": 1, "to": "ada"})
    assert postlude_jobs.count() == 2
    assert done == []
    postlude_jobs.drain()
    assert done == ["receipt 1 ada", "ledger 1"]


def test_jobs_are_held_when_the_lifespan_is_over(postlude_jobs: PostludeJobs, done: list[str]) -> None:
    with TestClient(app) as client:
        client.post("/orders", params={"number": 1, "to": "ada"})
    assert done == []
    assert postlude_jobs.count(send_receipt) == 1
    assert postlude_jobs.drain().succeeded == 2


def test_a_lifespan_that_ends_in_a_test_it_did_not_begin_in(done: list[str]) -> None:
    outer = TestClient(app)
    outer.__enter__()
    with PostludeJobs() as jobs:
        outer.post("/orders", params={"number": 1, "to": "ada"})
        outer.__exit__(None, None, None)
        assert jobs.drain().succeeded == 2
    assert postlude.components.producer.attached is None


def test_a_lifespan_that_goes_on_after_the_test_that_it_began_in(done: list[str]) -> None:
    with PostludeJobs() as jobs:
        client = TestClient(app)
        client.__enter__()
        client.post("/orders", params={"number": 1, "to": "ada"})
        assert jobs.count() == 2
    client.post("/orders", params={"number": 2, "to": "bob"})
    assert done == ["receipt 2 bob", "ledger 2"]
    client.__exit__(None, None, None)


def test_without_the_fixture_jobs_have_run_when_the_call_returns(client: TestClient, done: list[str]) -> None:
    before = postlude.components
    with PostludeJobs():
        client.post("/orders", params={"number": 1, "to": "ada"})
        assert postlude.components is not before
    assert postlude.components is before
    client.post("/orders", params={"number": 2, "to": "bob"})
    assert done == ["receipt 2 bob", "ledger 2"]
    with TestClient(app) as served:
        served.post("/orders", params={"number": 3, "to": "eve"})
        assert done[2:] == ["receipt 3 eve", "ledger 3"]


def test_a_request_that_fails_adds_nothing(client: TestClient, postlude_jobs: PostludeJobs) -> None:
    assert client.post("/broken").status_code == 500
    assert postlude_jobs.added() == []
    assert client.post("/broken", params={"fail": False}).status_code == 200
    assert postlude_jobs.count(send_receipt) == 1


def test_a_journal_that_does_not_answer_is_a_503(
    client: TestClient, postlude_jobs: PostludeJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **options: object) -> Reply[object]:
        return Reply.failed(JournalUnavailable("full"))

    with monkeypatch.context() as patch:
        patch.setattr(postlude.components.store, "add", refuse)
        assert client.post("/orders", params={"number": 1, "to": "ada"}).status_code == 503
    assert postlude_jobs.added() == []


def test_the_status_route_tells_of_held_jobs(client: TestClient, postlude_jobs: PostludeJobs) -> None:
    client.post("/orders", params={"number": 1, "to": "ada"})
    job = postlude_jobs.assert_added(send_receipt)
    assert client.get(f"/jobs/{job.id}").json()["state"] == State.QUEUED
    postlude_jobs.drain()
    assert client.get(f"/jobs/{job.id}").json()["state"] == State.SUCCEEDED


def test_jobs_added_outside_of_requests_are_held(postlude_jobs: PostludeJobs, done: list[str]) -> None:
    postlude.blocking.add_task(send_receipt, 1, "ada")
    assert done == []
    postlude_jobs.assert_added(send_receipt, 1, to="ada")
    assert postlude_jobs.drain().succeeded == 1


def test_an_application_made_in_the_test_is_covered(postlude_jobs: PostludeJobs, done: list[str]) -> None:
    own = FastAPI()
    made = Postlude(own, store="memory", packages=["tests"])
    own.post("/orders")(order)
    before = made.components
    with TestClient(own) as client:
        client.post("/orders", params={"number": 1, "to": "ada"})
    assert made.components is before
    assert done == []
    assert postlude_jobs.of(made).count() == 2
    assert postlude_jobs.of(postlude).count() == 0
    assert postlude_jobs.count() == 2


def test_one_of_several(postlude_jobs: PostludeJobs, done: list[str]) -> None:
    other = Postlude(store="memory", packages=["tests"])
    postlude.blocking.add_task(send_receipt, 1, "ada")
    other.blocking.add_task(send_receipt, 2, "bob")
    postlude_jobs.of(other).assert_not_added(send_receipt, 1, "ada")
    assert postlude_jobs.of(other).drain().succeeded == 1
    assert done == ["receipt 2 bob"]
    postlude_jobs.of(other).clear()
    assert [job.kwargs["order"] for job in postlude_jobs.added(send_receipt)] == [1]
    assert postlude_jobs.drain().succeeded == 1


def test_what_is_not_held_is_refused(postlude_jobs: PostludeJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTLUDE_STORE", raising=False)
    with pytest.raises(PostludeError, match="POSTLUDE_STORE=off"):
        postlude_jobs.of(Postlude(store="off"))
    with PostludeJobs() as ended:
        pass
    with pytest.raises(PostludeError, match="no test that runs"):
        ended.of(postlude)


def test_without_a_postlude_that_is_on_the_text_says_so() -> None:
    jobs = PostludeJobs()  # not entered: it holds nobody's
    with pytest.raises(AssertionError, match="no Postlude in this process, or all are off"):
        jobs.assert_added(send_receipt)


def test_clear_forgets_what_was_added(
    client: TestClient, postlude_jobs: PostludeJobs, done: list[str]
) -> None:
    client.post("/orders", params={"number": 1, "to": "ada"})
    postlude_jobs.clear()
    assert postlude_jobs.added() == []
    client.post("/orders", params={"number": 2, "to": "bob"})
    postlude_jobs.drain()
    assert done == ["receipt 2 bob", "ledger 2"]
    postlude_jobs.assert_added(write_ledger)


def test_clear_within_a_lifespan(postlude_jobs: PostludeJobs, served: TestClient, done: list[str]) -> None:
    postlude_jobs.clear()
    served.post("/mail")
    assert postlude_jobs.drain(raise_errors=True).succeeded == 1
    assert done == ["mailed"]


@pytest.mark.usefixtures("young_only")
def test_the_census_keeps_no_postlude_alive() -> None:
    with PostludeJobs():
        gone = weakref.ref(Postlude(store="memory"))
    gc.collect()
    assert gone() is None


def test_a_task_that_runs_in_memory_is_told_of(postlude_jobs: PostludeJobs) -> None:
    own = FastAPI()
    Postlude(own, store="memory", packages=["tests"])

    @own.post("/")
    async def add(tasks: BackgroundTasks) -> None:
        tasks.add_task(send_receipt, 1, to="ada", copies=object())  # type: ignore[arg-type]

    TestClient(own).post("/")
    with pytest.raises(AssertionError, match="ran in memory: 1"):
        postlude_jobs.assert_added(send_receipt)
