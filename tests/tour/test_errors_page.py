"""The page of errors: each has its part, each example raises its error, and says what stands below it."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, get_args

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

import postlude as package
from postlude import errors
from postlude.clock import SystemClock
from postlude.fastapi import BackgroundTasks
from postlude.jobs.view import ErrorCode
from postlude.model.job import NewJob
from postlude.model.state import State
from postlude.stores.memory import MemoryStore
from postlude.testing import PostludeJobs
from tests.app.serving import becomes, serving
from tests.tour.around import around
from tests.tour.programs import DOCS

PAGE: Final = (DOCS / "errors.md").read_text("utf-8")
PARTS: Final = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##)", f"{PAGE}\n##", re.DOTALL | re.MULTILINE))
KINDS: Final = tuple(errors.__all__)
CODES: Final = get_args(ErrorCode)
RAISED_BY_TASKS: Final = ("Snooze", "RetryLater", "Discard")
PARKED: Final = ("UnknownTask", "InvalidArguments")
IN_A_PROCESS: Final = {
    "ForkedJournal": (
        "import os\nfrom postlude import Postlude\npostlude = Postlude(store='sqlite:///jobs.db')\n",
        "else:\n    os.wait()\n",
    ),
    "UnsupportedFramework": (
        "from typing import Any\nfrom fastapi import FastAPI\nfrom fastapi.routing import APIRoute\n"
        "from postlude import Postlude\nfrom starlette.testclient import TestClient\n",
        "TestClient(other).__enter__()\n",
    ),
}
"""What stands before an example, and after it: where the process, or the framework, is changed by it."""
SPECIAL: Final = (*IN_A_PROCESS, "JobRefused", "InvalidResult", "WaitsForItself", *PARKED, *RAISED_BY_TASKS)

GENERAL: Final = [
    pytest.param(kind, marks=pytest.mark.disk) if kind == "JournalRefused" else kind
    for kind in KINDS
    if kind not in SPECIAL
]

AROUND: Final = "async def send_welcome(address: str) -> None: ...\n"
"""What the examples take for granted, beside an application with a Postlude."""


def blocks(part: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PARTS[part], re.DOTALL | re.MULTILINE)


def said(part: str) -> str:
    """Return what an error says by the page."""
    (text,) = blocks(part, "text")
    return " ".join(text.split())


def in_words(error: object) -> str:
    """Return what an error says, without what is another each time."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}(?! *; it may)", "…", " ".join(str(error).split()))
    return re.sub(r"release [0-9a-f]{16}", "release …", text)


class Release:
    """A module `main` with an application, as one release has it."""

    def __init__(self, folder: Path, store: str = "memory") -> None:
        (folder / "main.py").write_text(AROUND)
        sys.modules.pop("main", None)
        importlib.invalidate_caches()
        self.module: Any = importlib.import_module("main")
        self.app = FastAPI()
        self.postlude = package.Postlude(self.app, store=store, packages=["main"])
        names = {"APIRoute": APIRoute, "Any": Any, "BackgroundTasks": BackgroundTasks}
        vars(self.module).update(around(folder) | names, app=self.app, postlude=self.postlude)

    async def run(self, code: str) -> None:
        """Run code, which may await."""
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        made = eval(compile(code, str(self.module.__file__), "exec", flags=flags), vars(self.module))
        if inspect.iscoroutine(made):
            await made

    async def has_kept(self) -> None:
        """Let `kept` be the background tasks of a request that has ended."""

        async def handler(tasks: BackgroundTasks) -> None:
            self.module.kept = tasks

        self.app.post("/kept")(handler)
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://main") as client:
            assert (await client.post("/kept")).status_code == 200


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("POSTLUDE_STORE", raising=False)
    monkeypatch.setitem(sys.modules, "main", sys)  # whatever was there is back afterwards
    return tmp_path


def test_each_error_and_each_code_has_its_part_and_nothing_else_has() -> None:
    assert sorted(PARTS) == sorted({*KINDS, *CODES})
    for name in set(KINDS) - {"JobRefused"}:
        assert blocks(name, "python"), name
    for name in set(KINDS) - {*RAISED_BY_TASKS}:
        assert blocks(name, "text"), name
        assert "**Fix**" in PARTS[name], name
    for code in CODES:
        assert "**Example**" in PARTS[code], code
        assert "**Fix**" in PARTS[code], code


@pytest.mark.anyio
@pytest.mark.parametrize("kind", GENERAL)
async def test_its_example_raises_it_in_these_words(folder: Path, kind: str) -> None:
    release = Release(folder)
    (code,) = blocks(kind, "python")
    async with serving(release.postlude):
        if kind == "RequestOver":
            await release.has_kept()
        with pytest.raises(getattr(errors, kind)) as raised:
            await release.run(code)
    assert type(raised.value).__name__ == kind
    assert in_words(raised.value).replace(f"{folder}/", "") == said(kind)


def test_a_handler_that_waits_for_its_own_job(folder: Path) -> None:
    release = Release(folder)
    (code,) = blocks("WaitsForItself", "python")
    exec(f"async def count_orders() -> int:\n    return 1\n{code}", vars(release.module))
    with pytest.raises(errors.WaitsForItself) as raised:
        TestClient(release.app).post("/reports")
    assert in_words(raised.value) == said("WaitsForItself")


@pytest.mark.anyio
@pytest.mark.disk
@pytest.mark.parametrize("kind", PARKED)
async def test_a_job_of_the_release_before_is_parked_with_this_sentence(folder: Path, kind: str) -> None:
    before, now = blocks(kind, "python")
    old = Release(folder, "sqlite:///jobs.db")
    await old.run(before)
    task = old.module.ship if kind == "InvalidArguments" else old.module.send_welcome
    job = await old.postlude.add_task(task, *(["a@example.org"] if kind == "UnknownTask" else [7, True]))
    await old.postlude.close()
    new = Release(folder, "sqlite:///jobs.db")
    vars(new.module).pop("send_welcome")
    await new.run(now)
    async with serving(new.postlude):
        status = await becomes(new.postlude, job, State.PARKED)
    assert status.reason == re.findall(r"Reason `(\w+)`", PARTS[kind])[0]
    assert in_words(status.note) == said(kind)


@pytest.mark.anyio
@pytest.mark.disk
async def test_a_result_of_the_release_before(folder: Path) -> None:
    before, now = blocks("InvalidResult", "python")
    old = Release(folder, "sqlite:///jobs.db")
    await old.run(before)
    async with serving(old.postlude):
        job = await old.postlude.add_task(old.module.count_orders)
        await becomes(old.postlude, job, State.SUCCEEDED)
    new = Release(folder, "sqlite:///jobs.db")
    async with serving(new.postlude):
        new.module.job = await new.postlude.job(job.id)
        with pytest.raises(errors.InvalidResult) as raised:
            await new.run(now)
        told = (await new.postlude.inspector.get(job.id)).result
    assert in_words(raised.value) == said("InvalidResult")
    assert told == "many"


@pytest.mark.process
@pytest.mark.parametrize("kind", IN_A_PROCESS)
def test_an_example_that_has_its_process_to_itself(folder: Path, kind: str) -> None:
    (code,) = blocks(kind, "python")
    before, after = IN_A_PROCESS[kind]
    (folder / "example.py").write_text(f"{before}{AROUND}{code}{after}")
    told = subprocess.run(
        [sys.executable, "example.py"], capture_output=True, text=True, check=False, timeout=60
    )
    assert told.stderr.strip().splitlines()[-1] == f"postlude.errors.{kind}: {said(kind)}"


def test_two_jobs_with_one_id() -> None:
    store = MemoryStore(SystemClock())
    store.open()
    job = NewJob(b"0" * 16, "main:ship", "default", b"{}", 0)
    with pytest.raises(errors.JobRefused) as raised:
        store.add([job, job]).wait(5)
    store.close()
    assert str(raised.value) == said("JobRefused")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("kind", "state", "failures"),
    [("Snooze", "queued", 0), ("RetryLater", "queued", 1), ("Discard", "cancelled", 1)],
)
async def test_what_tasks_raise(folder: Path, kind: str, state: str, failures: int) -> None:
    release = Release(folder)
    (code,) = blocks(kind, "python")
    await release.run(code)
    with PostludeJobs() as kit:
        kit.of(release.postlude)
        await release.postlude.add_task(release.module.sync)
        await kit.drain_async()
        ((job,)) = kit.added(release.module.sync)
    assert (job.state, job.failures) == (state, failures)
    assert issubclass(getattr(errors, kind), Exception)
    assert not issubclass(getattr(errors, kind), errors.PostludeError)


CODES_HERE: Final = {
    "failed": "@postlude.task(retry=Retry(attempts=1))\n"
    "async def task() -> None:\n    raise ValueError('no')\n",
    "timed_out": "import asyncio\n@postlude.task(timeout=0.05, retry=Retry(attempts=1))\n"
    "async def task() -> None:\n    await asyncio.sleep(60)\n",
    "discarded": "@postlude.task\nasync def task() -> None:\n    raise Discard('no such order')\n",
    "cancelled": "@postlude.task\nasync def task() -> None: ...\ntask = task.using(delay=60)\n",
}
"""The others need a crash, or a clock: see `tests/web/test_errors.py`, and the durability tests."""


@pytest.mark.anyio
@pytest.mark.parametrize("code", CODES_HERE)
async def test_a_code_is_told_for_its_example(folder: Path, code: str) -> None:
    release = Release(folder)
    release.app.include_router(release.postlude.router(prefix="/jobs"))
    await release.run(CODES_HERE[code])
    transport = httpx.ASGITransport(release.app)
    async with (
        serving(release.postlude),
        httpx.AsyncClient(transport=transport, base_url="http://main") as client,
    ):
        job = await release.postlude.add_task(release.module.task)
        if code == "cancelled":
            await job.cancel()
        told = (await client.get(f"/jobs/{job.id}", headers={"Prefer": "wait=10"})).json()
    assert told["error"] == {"code": code}
