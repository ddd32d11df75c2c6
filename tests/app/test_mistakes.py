"""What is said to those who got something wrong."""

import logging
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from postlude import JournalRefused, Postlude
from postlude.starlette import Route as DurableRoute


def test_an_unknown_delivery_is_refused() -> None:
    wrong: Any = "at_most_onse"
    with pytest.raises(ValueError, match="at_most_once"):
        Postlude(delivery=wrong)


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
