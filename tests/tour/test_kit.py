"""Tour, part 11: an application's own tests, with the plug-in and with the test client alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

APPLICATION = """
from fastapi import FastAPI
from pydantic import BaseModel

from postlude import Exponential, Postlude, Retry
from postlude.fastapi import BackgroundTasks

app = FastAPI()
postlude = Postlude(app)
sent = []
errors = []


class NewOrder(BaseModel):
    number: int
    email: str


@postlude.task(retry=Retry(attempts=3, backoff=Exponential(first=1800, most=1800, jitter=False)))
async def send_receipt(order: int, to: str) -> None:
    if errors:
        raise errors.pop()
    sent.append((order, to))


@app.post("/orders")
async def order(body: NewOrder, tasks: BackgroundTasks) -> None:
    tasks.add_task(send_receipt, body.number, to=body.email)
"""

CONFTEST = """
import pytest
from fastapi.testclient import TestClient

import shop


@pytest.fixture
def client():
    shop.sent.clear()
    with TestClient(shop.app) as client:
        yield client
"""

WITH_THE_KIT = """
import pytest

from shop import errors, send_receipt, sent

ORDER = {"number": 7, "email": "ada@example.org"}


def test_order(client, postlude_jobs):  # pytest plug-in, comes with the package
    client.post("/orders", json=ORDER)
    postlude_jobs.assert_added(send_receipt, 7, to="ada@example.org")
    assert sent == []
    postlude_jobs.drain()  # runs them through the real runner and codec
    assert sent == [(7, "ada@example.org")]
    postlude_jobs.advance(hours=1)  # retries and schedules on a hand-turned clock
    assert sent == [(7, "ada@example.org")]


def test_retries(client, postlude_jobs):
    errors.extend([OSError("busy"), OSError("busy")])
    client.post("/orders", json=ORDER)
    postlude_jobs.drain()
    assert (sent, len(errors)) == ([], 1)
    postlude_jobs.advance(hours=1)
    postlude_jobs.drain()
    assert sent == [(7, "ada@example.org")]


def test_nothing_is_left_of_other_tests(client, postlude_jobs):
    with pytest.raises(AssertionError):
        postlude_jobs.assert_added(send_receipt)


def test_what_was_not_added(client, postlude_jobs):
    client.post("/orders", json=ORDER)
    with pytest.raises(AssertionError):
        postlude_jobs.assert_added(send_receipt, 8, to="ada@example.org")
"""

WITHOUT_A_FIXTURE = """
from fastapi.testclient import TestClient

import shop

ORDER = {"number": 7, "email": "ada@example.org"}


def test_jobs_have_finished_when_the_call_returns(client):
    client.post("/orders", json=ORDER)
    assert shop.sent == [(7, "ada@example.org")]


def test_also_without_a_lifespan():
    shop.sent.clear()
    TestClient(shop.app).post("/orders", json=ORDER)
    assert shop.sent == [(7, "ada@example.org")]
"""


@pytest.mark.parametrize("store", [None, "sqlite:///chosen.db"], ids=["memory", "sqlite"])
def test_an_applications_own_tests(tmp_path: Path, store: str | None) -> None:
    for name, text in {
        "shop.py": APPLICATION,
        "conftest.py": CONFTEST,
        "test_with_the_kit.py": WITH_THE_KIT,
        "test_without_a_fixture.py": WITHOUT_A_FIXTURE,
    }.items():
        (tmp_path / name).write_text(text, "utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "POSTLUDE_STORE"}
    if store is not None:
        environment["POSTLUDE_STORE"] = store
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "6 passed" in ended.stdout, ended.stdout + ended.stderr
