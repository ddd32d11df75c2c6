"""The route that tells the state of a job."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient

from postlude import Postlude, Retry
from postlude.clock import ManualClock
from postlude.errors import JournalUnavailable
from postlude.jobs.inspector import Inspector, JobStatus
from postlude.model.ids import id_text
from postlude.model.job import JobRecord, NewJob, Progress, ProgressNote
from postlude.model.outcome import Parked, Succeeded
from postlude.model.state import Reason
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from postlude.testing.conformance import Driver, StoreBench
from postlude.web import status_router
from postlude.web.status import LATEST, SOONEST, retry_after
from tests.app import returning

SECRET = b'{"a":["hunter2"],"k":{}}'


class BrokenStore(MemoryStore):
    def get(self, id: bytes) -> Reply[JobRecord | None]:
        return Reply.failed(JournalUnavailable("the disk is gone"))


class Bench(StoreBench):
    def make(self, clock: ManualClock) -> Store:
        return MemoryStore(clock)


@pytest.fixture
def driver() -> Driver:
    return Driver(Bench(), ManualClock())


def client_of(store: Store, **options: Any) -> TestClient:
    app = FastAPI()
    app.include_router(status_router(lambda: Inspector(store), "/jobs", **options))
    return TestClient(app)


@pytest.fixture
def client(driver: Driver) -> TestClient:
    return client_of(driver.store)


def path(job: NewJob) -> str:
    return f"/jobs/{id_text(job.id)}"


def test_a_waiting_job(driver: Driver, client: TestClient) -> None:
    job = driver.new("shop:mail", payload=SECRET)
    driver.add(job)
    answer = client.get(path(job))
    assert answer.status_code == 200
    assert answer.json() == {
        "id": id_text(job.id),
        "state": "queued",
        "done": False,
        "reason": None,
        "attempt": 1,
        "max_attempts": None,
        "created": "2026-01-01T00:00:00Z",
        "started": None,
        "finished": None,
        "updated": "2026-01-01T00:00:00Z",
        "next_run": None,
        "cancel_requested": False,
        "progress": None,
        "result": None,
        "error": None,
        "last_error": None,
        "links": {"self": path(job), "events": None, "cancel": None},
    }
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("task", "shop:mail"),
        ("queue", "post"),
        ("arguments", {"positional": ["hunter2"], "named": {}}),
    ],
)
def test_what_is_shown_only_if_asked_for(driver: Driver, client: TestClient, name: str, told: Any) -> None:
    job = driver.new("shop:mail", queue="post", payload=SECRET)
    driver.add(job)
    answer = client.get(path(job))
    assert name not in answer.json()
    assert "hunter2" not in answer.text
    assert client_of(driver.store, show={name}).get(path(job)).json() == answer.json() | {name: told}


@pytest.mark.parametrize("show", ["task", {"task", "payload"}, ["results"]])
def test_what_cannot_be_shown_is_refused(driver: Driver, show: Any) -> None:
    with pytest.raises(ValueError, match=r"show=.*give some of"):
        client_of(driver.store, show=show)


def test_of_an_error_its_code_is_shown(driver: Driver, client: TestClient) -> None:
    job = driver.new()
    driver.add(job)
    driver.finish(driver.claim_one(driver.enlist()), driver.failed())
    answer = client.get(path(job))
    assert (answer.json()["state"], answer.json()["error"]) == ("failed", {"code": "failed"})
    assert "ValueError" not in answer.text
    assert "Traceback" not in answer.text


def test_progress_and_the_wish_that_it_stops(driver: Driver, client: TestClient) -> None:
    job = driver.new()
    driver.add(job)
    claim = driver.claim_one(driver.enlist())
    driver.clock.advance(7)
    said = Progress(3, 10, "orders", driver.clock.now())
    driver.store.progress([ProgressNote(claim.seq, claim.fence, said)]).wait(5)
    told = client.get(path(job)).json()
    assert (told["state"], told["cancel_requested"], told["progress"]) == (
        "running",
        False,
        {
            "current": 3.0,
            "total": 10.0,
            "percent": 30.0,
            "message": "orders",
            "updated": "2026-01-01T00:00:07Z",
        },
    )
    assert told["updated"] == told["progress"]["updated"]
    driver.cancel(job)
    assert client.get(path(job)).json()["cancel_requested"] is True


@pytest.mark.parametrize(
    ("done", "total", "percent"),
    [(0, 8, 0.0), (1, 3, 33.3), (9, 3, 100.0), (-1, 3, 0.0), (5, None, None), (5, 0, None), (0, 0, None)],
)
def test_percents(
    driver: Driver, client: TestClient, done: float, total: float | None, percent: float | None
) -> None:
    job = driver.new()
    driver.add(job)
    claim = driver.claim_one(driver.enlist())
    said = Progress(done, total, None, driver.clock.now())
    driver.store.progress([ProgressNote(claim.seq, claim.fence, said)]).wait(5)
    assert client.get(path(job)).json()["progress"]["percent"] == percent


def test_times_of_a_job_that_is_tried_again(driver: Driver, client: TestClient) -> None:
    """It has not finished, though an attempt has; the next one is due, and the last one's error is no end."""
    job = driver.new()
    driver.add(job)
    claim = driver.claim_one(driver.enlist())
    driver.clock.advance(2)
    driver.finish(claim, driver.failed(retry_after=60))
    told = client.get(path(job)).json()
    assert (told["state"], told["done"], told["attempt"]) == ("queued", False, 2)
    (failed,) = driver.record(job).attempts
    assert (told["finished"], _microseconds(told["updated"])) == (None, failed.finished)
    assert told["next_run"] == "2026-01-01T00:01:02Z"
    assert (told["error"], told["last_error"]) == (None, {"code": "failed"})


def _microseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)


def test_how_many_attempts_it_may_have() -> None:
    app = FastAPI()
    postlude = Postlude(app, store="memory", packages=["tests"])
    app.include_router(postlude.router(prefix="/jobs"))
    task = postlude.task(returning.nothing, retry=Retry(attempts=7))
    with TestClient(app) as client:
        for call, attempts in ((task, 7), (task.using(retry=Retry(attempts=2)), 2)):
            id = postlude.blocking.add_task(call).id
            assert client.get(f"/jobs/{id}").json()["max_attempts"] == attempts


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (b'{"orders":3}', {"orders": 3}),
        (b'"x"', "x"),
        (b'["NaN",NaN,-Infinity,1e400]', ["NaN", None, None, None]),
        (None, None),
        (b"not JSON", None),
    ],
)
def test_the_result(driver: Driver, client: TestClient, stored: bytes | None, told: Any) -> None:
    job = driver.new()
    driver.add(job)
    driver.finish(driver.claim_one(driver.enlist()), Succeeded(stored))
    answer = client.get(path(job))
    assert (answer.status_code, answer.json()["state"], answer.json()["result"]) == (200, "succeeded", told)


def test_a_dropped_result(driver: Driver, client: TestClient) -> None:
    job = driver.new()
    driver.add(job)
    driver.finish(driver.claim_one(driver.enlist()), Succeeded(None, dropped=True))
    told = client.get(path(job)).json()
    assert (told["state"], told["reason"], told["result"]) == ("succeeded", "result_dropped", None)


def test_an_ended_job_need_not_be_asked_for_again(driver: Driver, client: TestClient) -> None:
    job = driver.new()
    driver.add(job)
    driver.finish(driver.claim_one(driver.enlist()))
    answer = client.get(path(job))
    assert "retry-after" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("id", ["0199b7c4-0000-7000-8000-000000000000", "nonsense", "1", "%00"])
def test_unknown_and_malformed_ids_are_404(client: TestClient, id: str) -> None:
    answer = client.get(f"/jobs/{id}")
    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "no-store"


def test_a_journal_that_cannot_be_read_is_503() -> None:
    answer = client_of(BrokenStore(ManualClock())).get("/jobs/0199b7c4-0000-7000-8000-000000000000")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "disk" not in answer.text


def test_dependencies_guard_the_route(driver: Driver) -> None:
    def nobody() -> None:
        raise HTTPException(401)

    job = driver.new()
    driver.add(job)
    client = client_of(driver.store, dependencies=[Depends(nobody)])
    assert client.get(path(job)).status_code == 401


def test_the_route_is_found_by_its_name(driver: Driver, client: TestClient) -> None:
    app = client.app
    assert isinstance(app, FastAPI)
    assert app.url_path_for("postlude:job", id="x") == "/jobs/x"


def test_openapi_documents_it(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    responses = schema["paths"]["/jobs/{id}"]["get"]["responses"]
    assert {"200", "404", "503"} <= responses.keys()
    assert responses["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/JobView")
    assert "Retry-After" in responses["200"]["headers"]
    assert "arguments" not in schema["components"]["schemas"]["JobView"]["properties"]


def test_the_inspector_is_asked_for_at_each_request(driver: Driver) -> None:
    inspectors: list[Inspector] = []
    app = FastAPI()
    app.include_router(status_router(lambda: inspectors[0], prefix="/jobs"))
    inspectors.append(Inspector(driver.store))
    assert TestClient(app).get("/jobs/nonsense").status_code == 404


def test_options_reach_the_router(driver: Driver) -> None:
    client = client_of(driver.store, tags=["background"])
    operation = client.get("/openapi.json").json()["paths"]["/jobs/{id}"]["get"]
    assert operation["tags"] == ["background"]


@pytest.mark.parametrize(("due", "expected"), [(0.5, SOONEST), (2.5, 3), (3600.0, LATEST)])
def test_a_delayed_job_is_worth_asking_for_when_it_is_due(driver: Driver, due: float, expected: int) -> None:
    job = driver.new(after=due)
    driver.add(job)
    status = JobStatus.of(driver.record(job))
    assert retry_after(status, status.created) == expected
    assert retry_after(status, status.created - timedelta(hours=1)) == LATEST


def test_a_running_job_is_asked_for_soon_although_it_was_delayed(driver: Driver) -> None:
    job = driver.new(after=30)
    driver.add(job)
    driver.clock.advance(30)
    driver.promote()
    driver.claim(driver.enlist())
    status = JobStatus.of(driver.record(job))
    assert retry_after(status, status.created) == SOONEST


def test_a_parked_job_takes_its_time(driver: Driver) -> None:
    job = driver.new()
    driver.add(job)
    driver.finish(driver.claim_one(driver.enlist()), Parked(Reason.UNKNOWN_TASK, "r1"))
    status = JobStatus.of(driver.record(job))
    assert retry_after(status, status.created) == LATEST
