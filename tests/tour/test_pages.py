"""The pages on moving, uploads, deploying and trouble: their code runs, and what they tell to type exists."""

import configparser
import importlib.util
import json
import re
import shlex
import sys
import types
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import pytest
import typer.main
import yaml  # type: ignore[import-untyped]
from celery import _state
from starlette.testclient import TestClient

import postlude
from postlude.cli.commands import app as commands
from postlude.config import Config, Keep
from postlude.tasks.options import TaskOptions
from postlude.testing import Drained, PostludeJobs

DOCS: Final = Path(__file__).parents[2] / "docs"
NAMES: Final = ("from-backgroundtasks", "from-celery", "uploads")
PAGES: Final = {name: (DOCS / f"{name}.md").read_text("utf-8") for name in NAMES}


class Session:
    """What a page takes for granted: a session of a database."""

    rows: Final[dict[int, Any]] = {}

    async def __aenter__(self) -> "Session":
        return self

    async def __aexit__(self, *error: object) -> None: ...

    def add(self, row: Any) -> None:
        self.rows[row.id] = row

    async def commit(self) -> None: ...

    async def get(self, _: type, number: int) -> Any:
        return self.rows[number]


class Order:
    id = 7


class Around:
    """What the code of pages takes for granted, and what it has done with that."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    async def mail(self, order: Order) -> None:
        self.done.append(("mail", order.id))

    async def pay(self, order: int, *, idempotency_key: str) -> None:
        self.done.append(("pay", order, idempotency_key))

    async def gone(self, order: int) -> bool:
        return order == 1

    async def busy(self) -> bool:
        return False


@pytest.fixture
def around() -> Around:
    return Around()


Code = Any


@pytest.fixture
def run(around: Around, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Code:
    """Run one piece of a page's code as a module, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTLUDE_STORE", "memory")

    def run(page: str, piece: int) -> types.ModuleType:
        code = re.findall(r"```python\n(.*?)```", PAGES[page], re.DOTALL)[piece]
        file = tmp_path / "page_of_docs.py"
        file.write_text(code)
        spec = importlib.util.spec_from_file_location("page_of_docs", file)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "page_of_docs", module)
        monkeypatch.syspath_prepend(tmp_path)
        given = {name: getattr(around, name) for name in ("mail", "pay", "gone", "busy")}
        module.__dict__.update(given, Session=Session, sessions=Session, Order=Order)
        exec(compile(code, file, "exec"), module.__dict__)
        return module

    return run


def test_the_one_line(run: Code) -> None:
    page = run("from-backgroundtasks", 0)
    with TestClient(page.app) as client:
        assert client.post("/entries", params={"text": "hello"}).json() == {"status": "noted"}
    assert Path("entries.txt").read_text() == "hello\n"
    assert page.postlude.counters.memory_tasks == ()


def test_the_session_question(run: Code, around: Around) -> None:
    page = run("from-backgroundtasks", 1)
    with TestClient(page.app) as client:
        assert client.post("/orders").json() == {"id": 7}
    assert around.done == [("mail", 7)]


@pytest.mark.anyio
async def test_an_idempotency_key_is_the_same_in_each_attempt(run: Code, around: Around) -> None:
    page = run("from-backgroundtasks", 2)
    await page.postlude.open()
    await page.postlude.start()
    job = await page.postlude.add_task(page.charge, 7)
    await job.result(timeout=10)
    assert around.done == [("pay", 7, str(job.id))]
    await page.postlude.close()


def test_a_policy(run: Code) -> None:
    page = run("from-backgroundtasks", 3)
    assert page.call_partner.policy.retry.attempts == 8


def test_an_upload(run: Code) -> None:
    page = run("uploads", 0)
    with TestClient(page.app) as client:
        answer = client.post("/imports", files={"file": ("orders.csv", b"a\nb\nc\n")})
        assert answer.status_code == 202
        status = client.get(answer.headers["location"]).json()
    assert (status["done"], status["result"]) == (True, 3)
    assert list(Path("uploads").iterdir()) == []


@pytest.mark.anyio
@pytest.mark.parametrize(("order", "state"), [(1, "cancelled"), (2, "succeeded")])
async def test_the_task_of_who_comes_from_celery(run: Code, order: int, state: str) -> None:
    page = run("from-celery", 0)
    await page.postlude.open()
    await page.postlude.start()
    job = await page.postlude.add_task(page.send, order)
    with nullcontext() if state == "succeeded" else pytest.raises(postlude.JobCancelled, match="was deleted"):
        await job.result(timeout=10)
    assert (await job.status()).state == state
    await page.postlude.close()


def test_a_task_of_celerys_is_adopted(run: Code) -> None:
    before = set(_state._on_app_finalizers)
    page = run("from-celery", 1)
    _state._on_app_finalizers.intersection_update(before)  # or applications of other tests have its task too
    with PostludeJobs() as jobs:
        page.postlude.blocking.add_task(page.receipt, 7)
        page.postlude.blocking.add_task(page.receipt, -1)
        assert [(job.task, job.queue) for job in jobs.added()] == [("shop.receipt", "jobs")] * 2
        assert jobs.drain() == Drained(succeeded=1, retrying=1)
        assert jobs.added()[0].record.result == b'"receipt 7"'


ALL: Final = {page.name: page for page in (DOCS.parent / "README.md", *sorted(DOCS.glob("*.md")))}


@pytest.mark.parametrize("page", ALL)
def test_what_is_typed_is_a_command_with_such_options(page: str) -> None:
    root: Any = typer.main.get_command(commands)
    for line in typed(ALL[page].read_text("utf-8")):
        command, words = root, shlex.split(line, comments=True)[1:]
        given = iter(words)
        while hasattr(command, "commands"):
            name = next(given, "--help")  # a group alone
            assert name in command.commands or name.startswith("--"), line
            if name not in command.commands:
                break
            command = command.commands[name]
        options = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        known = options | {"--help", "--version", "--install-completion"}
        assert {word.partition("=")[0] for word in given if word.startswith("--")} <= known, line


def typed(text: str) -> list[str]:
    """Return what a page says to type: in its blocks of commands, and in back-ticks."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    blocks = "\n".join(block for language, block in found if not language)
    lines = re.findall(r"^(?:[A-Z_]+=\S+ )?(postlude [a-z-].*?)(?: {3,}.*)?$", blocks, re.MULTILINE)
    return [*lines, *(one for one in re.findall(r"`(postlude [a-z-][^`]*)`", text) if one.count("\n") == 0)]


def test_there_is_what_is_typed() -> None:
    assert sum(len(typed(page.read_text("utf-8"))) for page in ALL.values()) > 90


def test_options_that_tables_name_are_options_of_tasks_and_of_the_package() -> None:
    known = {*TaskOptions.__annotations__, *dir(postlude), *Config.__annotations__, *Keep.__annotations__}
    known |= {"key", "at", "delay", "expires", "attempts", "on", "per", "backoff", "store", "app", "timeout"}
    right = [row.split(" | ", 1)[1] for row in PAGES["from-celery"].splitlines() if row.count(" | ") == 1]
    for cell in right:
        for piece in re.findall(r"`([^`]+)`", cell):
            names = set(re.findall(r"(\w+)=", piece)) | set(re.findall(r"\b([A-Z]\w+)\(", piece))
            if not piece.startswith("postlude "):
                assert names <= known, piece


READ: Final[dict[str, Callable[[str], Any]]] = {
    "json": json.loads,
    "yaml": yaml.safe_load,
    "ini": lambda text: configparser.RawConfigParser(strict=False).read_string(text),
}
TESTED_ELSEWHERE: Final = {"python", "js", "sql", "dockerfile", "text", ""}
"""Of a Dockerfile see below; the JavaScript runs in a browser (`tests/web/test_samples.py`)."""


@pytest.mark.parametrize("page", ALL)
def test_what_is_to_be_copied_can_be_read(page: str) -> None:
    text = ALL[page].read_text("utf-8")
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if language in READ:
            READ[language](block)
        else:
            assert language in TESTED_ELSEWHERE, language


def test_the_units_the_pods_and_the_image_wait_long_enough() -> None:
    """Grace periods of servers and workers, as their pages have them, end before they are killed."""
    deploying, workers = ((DOCS / f"{page}.md").read_text("utf-8") for page in ("deploying", "workers"))
    own = Config().grace
    for page, work in ((deploying, 10 + own), (workers, 60 + 10)):
        for wait in re.findall(r"TimeoutStopSec=(\d+)|terminationGracePeriodSeconds: (\d+)", page):
            assert int("".join(wait)) > work
    image = re.findall(r"^```dockerfile\n(.*?)^```", deploying, re.DOTALL | re.MULTILINE)[0]
    lines = dict(line.split(" ", 1) for line in image.splitlines())
    assert lines["ENV"].endswith(f"//{lines['VOLUME']}/jobs.db"), "the journal is on the volume"
    assert json.loads(lines["CMD"])[0] == "uvicorn"
