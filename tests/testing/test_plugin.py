"""The plug-in as users have it: no developer's journal is written, and the fixture is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

pytest_plugins = ["pytester"]

APPLICATION = """
from fastapi import BackgroundTasks, FastAPI
from postlude import Postlude

app = FastAPI()
postlude = Postlude(app)
done = []


def note(word: str) -> None:
    done.append(word)


@app.post("/")
def add(background_tasks: BackgroundTasks) -> None:
    background_tasks.add_task(note, "written")
"""

TEST = """
import shop
from fastapi.testclient import TestClient


def test_shop():
    with TestClient(shop.app) as client:
        assert client.post("/").status_code == 200
    assert shop.done == ["written"]
"""


@pytest.mark.parametrize(("chosen", "written"), [(None, False), ("sqlite:///chosen.db", True)])
def test_the_journal_is_in_memory_unless_the_environment_chose(
    tmp_path: Path, chosen: str | None, written: bool
) -> None:
    (tmp_path / "shop.py").write_text(APPLICATION, "utf-8")
    (tmp_path / "test_shop.py").write_text(TEST, "utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "POSTLUDE_STORE"}
    if chosen is not None:
        environment["POSTLUDE_STORE"] = chosen
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert [path.name for path in tmp_path.glob("*.db")] == (["chosen.db"] if written else [])


SHOP = """
import smtplib
from fastapi import BackgroundTasks, FastAPI
from postlude import Postlude

app = FastAPI()
postlude = Postlude(app)
sent = []
down = []


@postlude.task
async def send_receipt(order: int, to: str) -> None:
    if down:
        down.pop()
        raise smtplib.SMTPServerDisconnected
    sent.append(order)


@app.post("/orders")
async def order(background_tasks: BackgroundTasks) -> None:
    background_tasks.add_task(send_receipt, 7, to="ada@example.org")
"""

USE = """
import unittest
from datetime import UTC, datetime
import pytest
from fastapi.testclient import TestClient
from postlude.testing import PostludeJobs
from shop import app, down, send_receipt, sent


@pytest.fixture
def client():
    with TestClient(app) as client:
        yield client


def test_tour(client, postlude_jobs):
    down[:] = [1, 2, 3]
    client.post("/orders", json={})
    postlude_jobs.assert_added(send_receipt, 7, to="ada@example.org")
    assert sent == []
    postlude_jobs.drain()
    assert sent == []
    postlude_jobs.advance(hours=1)
    assert sent == [7]


def test_ordinary(client):
    client.post("/orders")
    assert sent == [7, 7]


def test_ignored(client, postlude_jobs):
    client.post("/orders")


@pytest.mark.postlude(leftovers="fail")
def test_left(client):
    client.post("/orders")


@pytest.mark.postlude(leftovers="fail")
@pytest.mark.anyio
async def test_left_async(postlude_jobs):
    with TestClient(app) as client:
        client.post("/orders")


@pytest.mark.postlude(leftovers="fail")
def test_drained(client, postlude_jobs):
    client.post("/orders")
    postlude_jobs.drain()


@pytest.mark.postlude(leftovers="fail")
def test_broken(client):
    client.post("/orders")
    raise ArithmeticError("its own")


@pytest.mark.postlude(leftovers="ignore", now=datetime(2026, 3, 1, tzinfo=UTC))
def test_now(postlude_jobs):
    assert postlude_jobs.now == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.postlude(left="fail")
def test_mistyped():
    pass


@pytest.mark.postlude(leftovers="never")
def test_misunderstood():
    pass


class TestOld(unittest.TestCase):
    def setUp(self):
        self.jobs = self.enterContext(PostludeJobs())

    def test_old(self):
        TestClient(app).post("/orders")
        self.jobs.assert_added(send_receipt, 7, to=...)
"""

PASSED = {"test_tour", "test_ordinary", "test_ignored", "test_drained", "test_now", "test_old"}


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A user's project with a shop and its tests."""
    monkeypatch.delenv("POSTLUDE_STORE", raising=False)
    pytester.makepyfile(shop=SHOP, test_shop=USE)
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n")
    return pytester


def outcomes(result: pytest.RunResult) -> dict[str, str]:
    lines = [line.split() for line in result.outlines if line.startswith("test_shop.py::")]
    return {line[0].rpartition("::")[2]: line[1] for line in lines}


def test_the_fixture_and_the_marker(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess("-v", "--strict-markers", "-p", "no:cacheprovider")
    ended = outcomes(result)
    assert {name for name, outcome in ended.items() if outcome == "PASSED"} == PASSED
    assert {ended[name] for name in ("test_left", "test_left_async", "test_broken")} == {"FAILED"}
    assert {ended[name] for name in ("test_mistyped", "test_misunderstood")} == {"ERROR"}
    assert len(ended) == len(PASSED) + 5
    result.stdout.fnmatch_lines(
        [
            "*takes leftovers= and now= only*",
            '*leftovers is "ignore" or "fail", not \'never\'*',
            "jobs wait at the end of the test:",
            "  shop:send_receipt(order=7, to='ada@example.org') · queued",
        ]
    )
    assert str(result.stdout).count("jobs wait at the end") == 2 + 2  # and in the summary
    assert list(project.path.glob("*.db")) == []


def test_the_option(project: pytest.Pytester) -> None:
    project.makeini("[pytest]\npostlude_leftovers = fail\n")
    wanted = "tour or ordinary or ignored or now or old"
    ended = outcomes(project.runpytest_subprocess("-v", "-p", "no:cacheprovider", "-k", wanted))
    assert ended == dict.fromkeys(PASSED - {"test_drained"}, "PASSED") | {"test_ignored": "FAILED"}


def test_it_is_cheap_to_have() -> None:
    heavy = "{'fastapi', 'httpx', 'postlude.testing.jobs'} & sys.modules.keys()"
    code = f"import sys, postlude.testing.plugin; sys.exit(bool({heavy}))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_the_examples_of_the_documentation_run(project: pytest.Pytester) -> None:
    text = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")
    blocks = [block.partition("```")[0] for block in text.split("```python\n")[1:]]
    shop, *tests = blocks
    (project.path / "test_shop.py").unlink()  # of another shop
    project.makepyfile(shop=shop, **{f"test_block_{n}": block for n, block in enumerate(tests)})
    project.makeini("[pytest]\n" + text.split("```ini\n[pytest]\n")[1].partition("```")[0])
    result = project.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=len(tests))
