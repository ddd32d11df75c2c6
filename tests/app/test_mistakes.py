"""What is said to those who got something wrong."""

import logging
from pathlib import Path
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from postlude import Config, JournalRefused, Keep, Postlude
from postlude.starlette import Route as DurableRoute


def test_an_unknown_delivery_is_refused() -> None:
    wrong: Any = "at_most_onse"
    with pytest.raises(ValueError, match="at_most_once"):
        Postlude(delivery=wrong)


@pytest.mark.parametrize("wrong", ["sqlite:///jobs.db", FastAPI, object()])
def test_what_is_no_application_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"give the application first.*store="):
        Postlude(wrong)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"config": {"grace": 1}}, "config={'grace': 1}: give a postlude.Config"),
        ({"queues": ["mail"]}, "give each queue's engine by its name"),
        ({"queues": {"mail": 3}}, "give an engine"),
        ({"store": Path("jobs.db")}, "written as a text, 'sqlite:///jobs.db'"),
    ],
)
def test_options_of_another_type_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises((TypeError, ValueError, JournalRefused)) as refused:
        Postlude(**options)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"loop_slots": 0}, "Config(loop_slots=0): give a whole number, more than 0"),
        ({"threads": 2.5}, "Config(threads=2.5): give a whole number, more than 0"),
        ({"threads": True}, "Config(threads=True): give a whole number, more than 0"),
        ({"grace": "x"}, "Config(grace='x'): give seconds, 0 or more"),
        ({"grace": -5}, "Config(grace=-5): give seconds, 0 or more"),
        ({"poll_every": 0}, "Config(poll_every=0): give seconds, more than 0"),
        ({"budget": float("nan")}, "Config(budget=nan): give seconds, more than 0"),
        ({"keep_logs": "yes"}, "Config(keep_logs='yes'): give True or False"),
        ({"on_stall": "die"}, 'Config(on_stall=\'die\'): give "log" or "exit"'),
        ({"keep": 3}, "Config(keep=3): give a Keep"),
        ({"release": 42}, "Config(release=42): give a text, 200 characters at most"),
        ({"release": "r" * 201}, "give a text, 200 characters at most"),
        ({"lease": 5.0}, "Config(lease=5.0, renew_every=5.0): a lease must be renewed before it ends"),
    ],
)
def test_limits_that_nothing_works_with_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError) as refused:
        Config(**options)
    assert told in str(refused.value)


def test_so_are_those_of_what_is_kept() -> None:
    with pytest.raises(ValueError, match=r"Keep\(failures=-1\): give a whole number, 0 or more"):
        Keep(failures=-1)


def test_a_refused_location_from_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTLUDE_STORE", "plain.db")
    with pytest.raises(JournalRefused, match="POSTLUDE_STORE"):
        Postlude(store="memory")


def test_a_refused_location_from_the_code_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTLUDE_STORE", raising=False)
    with pytest.raises(JournalRefused) as refused:
        Postlude(store="plain.db")
    assert "POSTLUDE_STORE" not in str(refused.value)


async def answer(request: Request) -> JSONResponse:
    return JSONResponse({})


def test_plain_starlette_routes_are_named(caplog: pytest.LogCaptureFixture) -> None:
    app = Starlette(routes=[Route("/plain", answer), DurableRoute("/durable", answer)])
    Postlude(app, store="memory")
    with caplog.at_level(logging.WARNING), TestClient(app) as client:
        assert client.get("/plain").status_code == 200
    told = [record.getMessage() for record in caplog.records if "in memory only" in record.getMessage()]
    assert len(told) == 1
    assert told[0].endswith(": /plain")


def test_fastapi_is_not_told_of_its_own_pages(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    Postlude(app, store="memory")
    with caplog.at_level(logging.WARNING), TestClient(app):
        pass
    assert "in memory only" not in caplog.text


def test_what_calling_a_function_gave_is_no_task(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    Postlude(app, store="memory")

    @app.post("/")
    async def add(background_tasks: BackgroundTasks) -> None:
        nothing: Any = None
        background_tasks.add_task(nothing)

    with TestClient(app, raise_server_exceptions=False) as client:
        client.post("/")
    assert (
        "this cannot run, and will fail after the response: an object of NoneType is no function"
        in caplog.text
    )
    assert "in memory only" not in caplog.text
