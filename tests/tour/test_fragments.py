"""The pieces of code that are no whole programs: each runs, among what it takes for granted."""

import ast
import asyncio
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

import postlude as package
from postlude.fastapi import BackgroundTasks
from postlude.testing import PostludeJobs
from tests.app.serving import eventually, serving
from tests.tour.around import around
from tests.tour.programs import DOCS, ROOT, pieces

IN_TESTS_OF_THEIR_OWN: Final = {
    "celery": "tests/engines/celery",
    "check": "tests/check/test_page.py",
    "errors": "tests/tour/test_errors_page.py",
    "from-backgroundtasks": "tests/tour/test_pages.py",
    "from-celery": "tests/tour/test_pages.py",
    "once": "tests/tour/test_how_to.py",
    "schedules": "tests/tour/test_schedules_page.py",
    "tasks": "tests/tour/test_how_to.py",
    "telemetry": "tests/integrations/test_page.py",
    "tenants": "tests/tour/test_how_to.py",
    "testing": "tests/testing/test_plugin.py",
    "tutorial": "tests/tour/test_tutorial.py",
    "tutorial.fr": "tests/tour/test_tutorial.py",
    "tutorial.pt": "tests/tour/test_tutorial.py",
    "uploads": "tests/tour/test_pages.py",
}
HERE: Final = {
    "../README": 14,
    "dashboard": 3,
    "index": 1,
    "policy": 8,
    "sizing": 1,
    "status": 2,
    "transactions": 4,
    "workers": 1,
}
"""How many pieces each page has: whoever adds one adds its test below."""


class Fragments:
    """Runs pieces in one module, which is the application's own."""

    def __init__(self, folder: Path) -> None:
        (folder / "fragment.py").touch()
        importlib.invalidate_caches()
        self.module: Any = importlib.import_module("fragment")
        self.app = FastAPI()
        self.postlude = package.Postlude(self.app, store="memory", packages=["fragment"])
        vars(self.module).update(around(folder), app=self.app, postlude=self.postlude)

    def define(self, code: str) -> Any:
        """Run code as it would stand at the top of the module."""
        exec(compile(code, self.module.__file__, "exec"), vars(self.module))
        return self.module

    def top(self, page: str, piece: int) -> Any:
        """Run a piece so."""
        return self.define(pieces(page)[piece])

    async def awaited(self, code: str) -> None:
        """Run code that awaits."""
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        found = eval(compile(code, self.module.__file__, "exec", flags=flags), vars(self.module))
        if inspect.iscoroutine(found):
            await found

    def requested(self, page: str, piece: int) -> None:
        """Run a piece in a handler, whose background tasks are `tasks`."""

        async def handler(tasks: BackgroundTasks) -> None:
            vars(self.module).update(tasks=tasks, add_task=tasks.add_task)
            await self.awaited(pieces(page)[piece])

        self.app.post("/handler")(handler)
        answer = TestClient(self.app).post("/handler")
        assert answer.status_code == 200


@pytest.fixture
def fragments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fragments:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTLUDE_STORE", "memory")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "fragment", raising=False)
    return Fragments(tmp_path)


@pytest.fixture
def kit() -> Iterator[PostludeJobs]:
    with PostludeJobs() as kit:
        yield kit


def test_each_piece_has_its_test() -> None:
    found = {str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.glob("*.md")} | {"../README"}
    counted = {page: len(pieces(page)) for page in sorted(found)}
    assert {
        page: number for page, number in counted.items() if page not in IN_TESTS_OF_THEIR_OWN and number
    } == HERE
    for page, tests in IN_TESTS_OF_THEIR_OWN.items():
        assert (ROOT / tests).exists(), page
        assert counted[page] > 0, page


# README


@pytest.mark.parametrize("page", ["../README", "index"])
def test_the_first_lines(fragments: Fragments, page: str) -> None:
    found = fragments.top(page, 0)
    with TestClient(found.app) as client:
        assert client.post("/accounts?address=ada@example.org").json() == {"status": "opened"}
    assert found.postlude.counters.memory_tasks == ()


def test_readme_five_commands_in_a_clone() -> None:
    """With `git clone` six, and no page but this one."""
    first = pieces("../README", "")[0].splitlines()
    assert [line.split()[0] for line in first] == ["python3", "pip", "uvicorn", "curl", "postlude"]


def test_readme_a_policy(fragments: Fragments, kit: PostludeJobs) -> None:
    fragments.requested("../README", 1)
    ((job,)) = kit.added(fragments.module.send_receipt)
    assert (job.key, job.kwargs, job.state) == ("receipt:7", {"order": 7, "tenant": "acme"}, "queued")


def test_readme_a_task_makes_the_object_again(fragments: Fragments, kit: PostludeJobs) -> None:
    found = fragments.define(
        "from pydantic import BaseModel\n"
        "class Event(BaseModel):\n    name: str\n"
        "class Session: ...\n"
        "def get_session(): return Session()\n"
        "class EventBus:\n"
        "    heard = []\n"
        "    def __init__(self, session): assert isinstance(session, Session)\n"
        "    def publish(self, event): self.heard.append(event.name)\n"
    )
    fragments.top("../README", 2)
    fragments.postlude.blocking.add_task(found.publish, found.Event(name="paid"))
    kit.drain(raise_errors=True)
    assert found.EventBus.heard == ["paid"]


@pytest.mark.anyio
async def test_readme_names_and_a_schedule(fragments: Fragments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTLUDE_SCHEDULES", "on")
    assert fragments.top("../README", 3).BackgroundTasks is BackgroundTasks
    found = fragments.top("../README", 4)

    async def declared() -> list[Any] | None:
        return await fragments.postlude.schedules() or None

    async with serving(fragments.postlude):
        (schedule,) = await eventually(declared)
        assert schedule.task == found.morning_report.name
        assert schedule.next is not None
        assert schedule.next.astimezone(ZoneInfo("Europe/Paris")).hour == 7


@pytest.mark.disk
def test_readme_a_session_that_commits_before_the_response(fragments: Fragments) -> None:
    found = fragments.define(
        "sent = []\nasync def send_receipt(order: int) -> None:\n"
        "    async with sessions() as session:\n"
        "        sent.append((await session.get(Order, order)).email)\n"
        "from fastapi import BackgroundTasks\n"
    )
    fragments.top("../README", 5)
    asyncio.run(_tables(found))
    with TestClient(found.app) as client:
        answer = client.post("/orders", json={"email": "ada@example.org", "tenant": "acme"})
        assert answer.json() == {"id": 1}
    assert found.sent == ["ada@example.org"]


async def _tables(module: Any) -> None:
    async with module.engine.begin() as connection:
        await connection.run_sync(module.Base.metadata.create_all)


def test_readme_a_larger_application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTLUDE_STORE", "memory")
    monkeypatch.syspath_prepend(tmp_path)
    for file in re.split(r"^# ", pieces("../README")[6], flags=re.MULTILINE)[1:]:
        name, _, code = file.partition("\n")
        path = tmp_path / name.replace("shop/", "larger_shop/")
        path.parent.mkdir(exist_ok=True)
        head = "from fastapi import FastAPI\nfrom postlude import Postlude\n"
        if path.name == "main.py":
            head += "from larger_shop.jobs import postlude\n"
        path.write_text(head + code.replace("shop.", "larger_shop."))
    importlib.invalidate_caches()
    main = importlib.import_module("larger_shop.main")
    tasks = importlib.import_module("larger_shop.tasks")
    with TestClient(main.app):
        job = tasks.postlude.blocking.add_task(tasks.send_receipt, 7)
        tasks.postlude.blocking.result(job, timeout=10)


def test_readme_starlette(fragments: Fragments, kit: PostludeJobs) -> None:
    found = fragments.define("async def send_welcome(address: str) -> None: ...")
    fragments.top("../README", 7)
    assert TestClient(found.app).post("/signup").json() == {"status": "ok"}
    kit.of(found.postlude).assert_added(found.send_welcome, "ada@example.org")


def test_readme_accepted(fragments: Fragments) -> None:
    found = fragments.top("../README", 8)
    with TestClient(found.app) as client:
        answer = client.post("/imports?path=orders.csv")
        assert answer.status_code == 202
        told = client.get(answer.headers["location"]).json()
    assert (told["id"], told["state"], told["result"]) == (answer.json()["id"], "succeeded", 10)


def test_readme_a_test(fragments: Fragments, kit: PostludeJobs) -> None:
    found = fragments.define(
        "from postlude.fastapi import BackgroundTasks\n"
        "@postlude.task\nasync def send_receipt(order: int, tenant: str) -> None: ...\n"
        "@app.post('/orders')\ndef orders(tasks: BackgroundTasks) -> None:\n"
        "    tasks.add_task(send_receipt, 7, tenant='acme')\n"
    )
    mine = kit.of(found.postlude)  # an hour passes, and others in this process may have schedules
    fragments.top("../README", 9).test_order(TestClient(found.app), mine)
    assert mine.waiting == []


SEND: Final = "sent = []\nasync def send_welcome(address: str) -> None: sent.append(address)\n"


@pytest.mark.anyio
async def test_readme_outside_a_request(fragments: Fragments) -> None:
    found = fragments.define(SEND + "addresses = ['a@example.org', 'b@example.org']")

    async def all_sent() -> bool | None:
        return len(found.sent) == 3 or None

    async with serving(fragments.postlude):
        await fragments.awaited(pieces("../README")[10])
        await eventually(all_sent)
    assert sorted(found.sent) == ["a@example.org", "ada@example.org", "b@example.org"]


@pytest.mark.anyio
async def test_readme_from_sync_code(fragments: Fragments) -> None:
    found = fragments.define(SEND)
    async with serving(fragments.postlude):
        await asyncio.to_thread(fragments.top, "../README", 11)
    assert found.sent == ["ada@example.org"]


@pytest.mark.anyio
async def test_readme_many_at_once(fragments: Fragments, capsys: pytest.CaptureFixture[str]) -> None:
    found = fragments.define(
        "tries = []\n@postlude.task(retry=Retry(attempts=1))\nasync def send_receipt(order: int) -> None:\n"
        "    tries.append(order)\n    if len(tries) == 1: raise SMTPException('busy')\n"
    )
    async with serving(fragments.postlude):
        job = await fragments.postlude.add_task(found.send_receipt, 7)
        with pytest.raises(package.JobFailed):
            await job.result(timeout=10)
        finding, blocking = pieces("../README")[13].splitlines()
        await fragments.awaited(finding)
        await asyncio.to_thread(fragments.define, blocking)
        assert [one.id for one in found.found.jobs] == [job.id]
        await fragments.awaited(pieces("../README")[12])
        await job.result(timeout=10)
    assert capsys.readouterr().out == "Counter({'retried': 1}) Counter()\n"


# Policy


def test_policy_a_declared_task(fragments: Fragments, kit: PostludeJobs) -> None:
    fragments.requested("policy", 0)
    kit.advance(minutes=11, schedules=False)
    ((job,)) = kit.added(fragments.module.send_receipt)
    assert (job.state, job.priority, job.queue) == ("succeeded", 5, "mail")


@pytest.mark.parametrize(
    ("line", "outcome"),
    [(0, ("queued", 0)), (1, ("queued", 1)), (2, ("cancelled", 1))],
    ids=["Snooze", "RetryLater", "Discard"],
)
def test_policy_what_a_task_raises(
    fragments: Fragments, kit: PostludeJobs, line: int, outcome: tuple[str, int]
) -> None:
    raising = pieces("policy")[1].splitlines()
    assert len(raising) == 3
    found = fragments.define(
        "class answer:\n    headers = {'Retry-After': '30'}\n"
        f"@postlude.task\nasync def decides() -> None:\n    {raising[line]}\n"
    )
    fragments.postlude.blocking.add_task(found.decides)
    kit.drain()
    ((job,)) = kit.added(found.decides)
    assert (job.state, job.failures) == outcome


def test_policy_keys(fragments: Fragments, kit: PostludeJobs) -> None:
    found = fragments.define(
        "n = 7\n@postlude.task\nasync def index(n: int) -> None: ...\n"
        "@postlude.task\nasync def charge(n: int) -> None: ...\n"
    )
    fragments.requested("policy", 2)
    assert (kit.count(found.index), kit.count(found.charge)) == (1, 1)
    assert TestClient(fragments.app).post("/handler").status_code == 409


def test_queues_with_limits_and_workers(fragments: Fragments) -> None:
    for page, piece in (("policy", 3), ("workers", 0)):
        fragments.module.app = FastAPI()
        found = fragments.top(page, piece)
        assert found.postlude is not fragments.postlude
        with TestClient(found.app):
            pass


@pytest.mark.anyio
async def test_policy_pausing_cancelling_retrying(fragments: Fragments) -> None:
    found = fragments.define("@postlude.task(queue='mail')\nasync def send(n: int) -> None: ...")
    async with serving(fragments.postlude):
        found.job = await fragments.postlude.add_task(found.send.using(delay=60), 7)
        await fragments.awaited(pieces("policy")[4])
        assert (await found.job.status()).state == "queued"  # cancelled, and then to run again
        assert await fragments.postlude.paused() == []


@pytest.mark.anyio
async def test_policy_results_and_progress(fragments: Fragments) -> None:
    Path("orders.txt").write_text("a\nb\n")
    found = fragments.define("path = Path('orders.txt')")
    async with serving(fragments.postlude):
        await fragments.awaited(pieces("policy")[5])
    assert (found.report.orders, found.change.state) == (2, "succeeded")


def test_policy_dependencies(fragments: Fragments, kit: PostludeJobs) -> None:
    found = fragments.top("policy", 6)
    fragments.postlude.blocking.add_task(found.settle, 7)
    kit.drain(raise_errors=True)


def test_policy_dependencies_in_an_annotation(fragments: Fragments, kit: PostludeJobs) -> None:
    fragments.requested("policy", 7)
    kit.drain(raise_errors=True)
    assert kit.count(fragments.module.settle, 7) == 1


# Other pages


def test_status(fragments: Fragments) -> None:
    program, owners = pieces("status")
    without = """postlude = Postlude(app)
app.include_router(postlude.router(prefix="/jobs"))
"""
    assert without in program
    with TestClient(fragments.define(program).app) as client:
        answer = client.post("/imports?path=a.csv")
        assert client.get(answer.headers["location"]).json()["result"] == len("a.csv")
    found = fragments.define(program.replace(without, owners))
    with TestClient(found.app) as client:
        answer = client.post("/imports?path=a.csv")
        assert answer.status_code == 202
        assert client.get(answer.headers["location"]).json()["done"]
        found.app.dependency_overrides[found.current_user] = lambda: found.User(id=8)
        assert client.get(answer.headers["location"]).status_code == 404


def test_what_alembic_is_to_leave_alone(fragments: Fragments) -> None:
    included = fragments.top("transactions", 3).include_name
    kept = [
        ("schema", None),
        ("schema", "shop"),
        ("table", "orders"),
        ("table", "postlude"),
        ("column", "id"),
    ]
    assert all(included(name, kind, {}) for kind, name in kept)
    assert not included("postlude", "schema", {})
    assert not included("postlude_outbox", "table", {"schema_name": None})


@pytest.mark.disk
@pytest.mark.parametrize("by_itself", [False, True])
def test_transactions(fragments: Fragments, by_itself: bool) -> None:
    found = fragments.define(
        "from postlude.fastapi import BackgroundTasks\nsent = []\n"
        "async def send_receipt(order: int, to: str, tenant: str) -> None: sent.append((order, to))\n"
    )
    fragments.top("transactions", 2)
    asyncio.run(_tables(found))
    fragments.top("transactions", 1 if by_itself else 0)
    if by_itself:
        fragments.define(
            pieces("transactions")[0]
            .replace("BackgroundTasks", "OrderTasks")
            .replace("tasks.within(session)", "tasks")
            .replace("/orders", "/ours")
        )
    with TestClient(found.app) as client:
        answer = client.post(
            "/ours" if by_itself else "/orders", json={"email": "ada@example.org", "tenant": "acme"}
        )
        assert answer.json() == {"id": 1}
        until = monotonic() + 10
        while not found.sent:  # it follows the transaction: the client does not wait for it
            assert monotonic() < until
            sleep(0.005)
    assert found.sent == [(1, "ada@example.org")]


def test_dashboard_of_who_sits_there(fragments: Fragments) -> None:
    app = fragments.top("dashboard", 0).app
    with TestClient(app, base_url="http://localhost", client=("127.0.0.1", 5000)) as client:
        assert client.get("/background/").status_code == 200
    with TestClient(app, base_url="http://localhost", client=("192.0.2.1", 5000)) as client:
        assert client.get("/background/").status_code == 404


def test_dashboard(fragments: Fragments) -> None:
    found = fragments.top("dashboard", 1)
    with TestClient(found.app) as client:
        assert client.get("/background/").status_code == 200
        found.app.dependency_overrides[found.current_user] = lambda: found.User(is_admin=False)
        assert client.get("/background/").status_code == 404


def test_dashboard_login(fragments: Fragments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASHBOARD_ADA", "wet paint")
    monkeypatch.delenv("DASHBOARD_SUPPORT", raising=False)
    found = fragments.top("dashboard", 2)
    with TestClient(found.app) as client:
        assert client.get("/background/").status_code == 401
        for who in (("ada", "wrong"), ("eve", ""), ("support", "")):
            assert client.get("/background/", auth=who).status_code == 401
        assert client.get("/background/", auth=("ada", "wet paint")).status_code == 200


def test_sizing(fragments: Fragments) -> None:
    found = fragments.top("sizing", 0)
    assert found.postlude is not fragments.postlude
    assert found.keep.successes == 5_000_000
