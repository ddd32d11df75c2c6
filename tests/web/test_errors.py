"""What clients are told of why a job has not succeeded."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from postlude import Discard, Exponential, Postlude, Retry
from postlude.clock import ManualClock
from postlude.jobs.inspector import Inspector
from postlude.model.outcome import Cancelled, Failed, Outcome
from postlude.model.state import Reason
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Store
from postlude.testing.conformance import Driver, StoreBench
from postlude.web import status_router
from tests.app import returning
from tests.app.serving import EAGER, eventually, serving
from tests.web.test_events import reading, when
from tests.web.test_status import path

SECRET = "cannot connect to postgresql://shop:hunter2@db/x"


class Bench(StoreBench):
    def make(self, clock: ManualClock) -> Store:
        return MemoryStore(clock)


@pytest.fixture
def driver() -> Driver:
    return Driver(Bench(), ManualClock())


def error_of(driver: Driver, outcome: Outcome, field: str = "error", **options: Any) -> Any:
    app = FastAPI()
    app.include_router(status_router(lambda: Inspector(driver.store), "/jobs", **options))
    job = driver.new()
    driver.add(job)
    driver.finish(driver.claim_one(driver.enlist()), outcome)
    return TestClient(app).get(path(job)).json()[field]


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Failed("ValueError: x", "", None), "failed"),
        (Failed("TimeoutError: x", "", None, Reason.TIMED_OUT), "timed_out"),
        (Failed("ValueError: x", "", None, Reason.DEADLINE), "deadline"),
        (Failed("ValueError: x", "", None, Reason.KILLED), "killed"),
        (Failed("ValueError: x", "", None, Reason.MAY_HAVE_RUN), "may_have_run"),
        (Failed("ValueError: x", "", None, Reason.UNACKNOWLEDGED), "unacknowledged"),
        (Cancelled(Reason.EXPIRED), "expired"),
        (Cancelled(Reason.DISCARDED, "Discard: x"), "discarded"),
        (Cancelled(), "cancelled"),
    ],
)
def test_each_end_has_a_code(driver: Driver, outcome: Outcome, code: str) -> None:
    assert error_of(driver, outcome) == {"code": code}


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        (f"sqlalchemy.exc.OperationalError: {SECRET}", "OperationalError", SECRET),
        ("ValueError: no: not this", "ValueError", "no: not this"),
        ("shop.jobs.send.<locals>.Refused: no", "Refused", "no"),
        ("KeyError", "KeyError", None),
        ("ValueError: two\nlines", "ValueError", "two\nlines"),
        ("ValueError: ", "ValueError", ""),
        ("its process died: three times", None, "its process died: three times"),
    ],
)
def test_by_choice_its_class_and_its_text(
    driver: Driver, line: str, kind: str | None, message: str | None
) -> None:
    outcome = Failed(line, "", None)
    assert error_of(driver, outcome, errors="type") == {"code": "failed", "type": kind}
    told = {"code": "failed", "type": kind, "message": message}
    assert error_of(driver, outcome, errors="text") == told
    assert error_of(driver, outcome, errors="code") == {"code": "failed"}


def test_where_nothing_was_raised(driver: Driver) -> None:
    told = {"code": "cancelled", "type": None, "message": None}
    assert error_of(driver, Cancelled(), errors="text") == told


def test_none_before_the_end(driver: Driver) -> None:
    """What will be attempted again has not failed."""
    assert error_of(driver, driver.failed(retry_after=60), errors="text") is None


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ("code", {"code": "failed"}),
        ("type", {"code": "failed", "type": "ValueError"}),
        ("text", {"code": "failed", "type": "ValueError", "message": "no"}),
    ],
)
def test_of_an_attempt_before_the_end(driver: Driver, errors: str, told: Any) -> None:
    outcome = Failed("ValueError: no", "", driver.clock.now() + 60_000_000)
    assert error_of(driver, outcome, "last_error", errors=errors) == told


def test_another_choice_is_refused() -> None:
    with pytest.raises(ValueError, match='give "code", "type" or "text"'):
        Postlude(store="memory").router(errors="all")  # type: ignore[arg-type]


def test_openapi_has_the_error_as_it_is_shown() -> None:
    app = FastAPI()
    postlude = Postlude(store="memory")
    for name in ("code", "type", "text"):
        app.include_router(postlude.router(prefix=f"/{name}", errors=name))
    schema = app.openapi()
    schemas = schema["components"]["schemas"]

    def fields(name: str) -> set[str]:
        answer = schema["paths"][f"/{name}/{{id}}"]["get"]["responses"]["200"]
        report = schemas[answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]]
        (error,) = (each for each in report["properties"]["error"]["anyOf"] if "$ref" in each)
        return set(schemas[error["$ref"].rpartition("/")[2]]["properties"])

    assert fields("code") == {"code"}
    assert fields("type") == {"code", "type"}
    assert fields("text") == {"code", "type", "message"}


def discards() -> None:
    raise Discard(SECRET)


def breaks() -> None:
    raise ConnectionError(SECRET)


@pytest.fixture(autouse=True)
def batching() -> Iterator[None]:
    returning.GATE.clear()
    yield
    returning.GATE.set()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("function", "options", "code"),
    [
        (breaks, {}, "failed"),
        (breaks, {"retry": Retry(2, Exponential(0, 0))}, "failed"),
        (discards, {}, "discarded"),
        (returning.waits, {"timeout": 0.02}, "timed_out"),
        (returning.waits, {"deadline": 0.02}, "deadline"),
    ],
)
async def test_events_tell_no_more(
    location: str, function: Callable[..., Any], options: dict[str, Any], code: str
) -> None:
    app = FastAPI()
    postlude = Postlude(store=location, packages=["tests"], config=EAGER)
    app.include_router(postlude.router(prefix="/jobs"))
    postlude.install(app)
    task = postlude.task(function, name="task", **{"retry": Retry(attempts=1), **options})
    async with serving(postlude):
        job = await postlude.add_task(task)
        async with reading(app, f"/jobs/{job.id}/events") as reader:
            await eventually(lambda: when('"done":true' in reader.text))
        assert f'"error":{{"code":"{code}"}}' in reader.events[-1]["data"]
        assert "hunter2" not in reader.text
        assert "Error" not in reader.text.replace("last_error", "")
        status = await postlude.inspector.get(job.id)
        assert status.error, "whoever operates it sees it all"
