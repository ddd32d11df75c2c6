"""Making a Postlude, and joining an application."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI, routing
from fastapi.testclient import TestClient
from starlette.applications import Starlette

from postlude import JournalRefused, Postlude, PostludeError
from postlude.clock import SystemClock
from postlude.model.job import JobFilter
from postlude.model.state import State
from postlude.stores.memory import MemoryStore
from postlude.stores.sqlite import SqliteStore
from tests.app.work import note, note_sync, until

pytestmark = pytest.mark.anyio


def add_route(app: FastAPI, text: str = "a") -> None:
    @app.post("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(note, text)


def stored(postlude: Postlude) -> list[State]:
    """Return the states of all jobs."""

    async def read() -> list[State]:
        await postlude.open()
        states = [status.state for status in await postlude.inspector.page(limit=1000)]
        await postlude.close()
        return states

    return asyncio.run(read())


@pytest.mark.parametrize("lifespan", [True, False])
def test_two_phases(location: str, lifespan: bool, log: list[str]) -> None:
    postlude = Postlude(store=location)
    app = FastAPI()
    add_route(app)
    postlude.install(app)
    if lifespan:
        with TestClient(app) as client:
            client.post("/x")
            assert log == ["a"]
    else:
        TestClient(app).post("/x")
        assert log == ["a"]
    assert stored(postlude) == [State.SUCCEEDED]


class Hidden(routing.APIRoute):
    """A route whose application nobody can see through."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        inner = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await inner(scope, receive, send)

        self.app = app


@pytest.mark.usefixtures("never_installed")
def test_routes_made_between_the_two_phases_are_covered(location: str, log: list[str]) -> None:
    postlude = Postlude(store=location)
    app = FastAPI()
    app.router.route_class = Hidden
    add_route(app)
    postlude.install(app)
    TestClient(app).post("/x")
    assert stored(postlude) == [State.SUCCEEDED]


class TestRefused:
    """What cannot be, is said where it is asked for."""

    @pytest.mark.parametrize("store", ["memory", "off"])
    def test_a_second_application(self, store: str) -> None:
        app = FastAPI()
        postlude = Postlude(app, store=store)
        postlude.install(app)
        with pytest.raises(PostludeError, match="make another for another one"):
            postlude.install(FastAPI())

    @pytest.mark.parametrize("store", ["memory", "off"])
    def test_a_second_postlude(self, store: str) -> None:
        app = Starlette()
        Postlude(app, store=store)
        with pytest.raises(PostludeError, match="has a Postlude already"):
            Postlude(app, store="memory")

    @pytest.mark.parametrize("store", ["memory", "off"])
    def test_an_application_that_has_started(self, store: str) -> None:
        app = FastAPI()
        postlude = Postlude(store=store)
        with TestClient(app):
            for _ in range(2):
                with pytest.raises(PostludeError, match="before the application starts"):
                    postlude.install(app)

    @pytest.mark.parametrize("text", ["mysql://ada:secret@localhost/shop", "jobs.db", "sqlite://jobs.db"])
    def test_a_store_that_is_not_understood(self, text: str, folder: Path) -> None:
        with pytest.raises(JournalRefused, match="Allowed: sqlite") as refused:
            Postlude(store=text)
        assert "secret" not in str(refused.value)

    def test_a_variable_that_is_not_understood(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("POSTLUDE_STORE", "redis://localhost")
        with pytest.raises(JournalRefused, match="redis"):
            Postlude()


class TestStore:
    """Which journal it is."""

    @pytest.mark.disk
    def test_the_default_is_beside_the_application_and_opened_late(
        self, folder: Path, log: list[str]
    ) -> None:
        app = FastAPI()
        Postlude(app)
        add_route(app)
        assert list(folder.iterdir()) == []
        with TestClient(app) as client:
            client.post("/x")
        assert folder.joinpath("postlude.db").stat().st_mode & 0o777 == 0o600

    @pytest.mark.disk
    @pytest.mark.parametrize("given", [None, "sqlite:///mine.db"])
    def test_the_variable_overrides_a_text(
        self, given: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch, log: list[str]
    ) -> None:
        monkeypatch.setenv("POSTLUDE_STORE", f"sqlite:///{folder / 'other.db'}")
        Postlude(store=given).blocking.add_task(note, "a")
        assert [path.name for path in folder.glob("*.db")] == ["other.db"]

    def test_a_store_object_is_used_as_it_is(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, log: list[str]
    ) -> None:
        monkeypatch.setenv("POSTLUDE_STORE", "off")
        store = MemoryStore(SystemClock())
        app = FastAPI()
        postlude = Postlude(app, store=store)
        add_route(app)
        with TestClient(app) as client:
            client.post("/x")
        assert not postlude.off
        assert [record.state for record in store.page(JobFilter()).wait()] == [State.SUCCEEDED]

    @pytest.mark.disk
    def test_a_sqlite_store_object(self, folder: Path, log: list[str]) -> None:
        postlude = Postlude(store=SqliteStore(folder / "given.db", clock=SystemClock()))
        postlude.blocking.add_task(note, "a")
        assert stored(postlude) == [State.QUEUED]


class TestSeveral:
    """Several applications, journals and starts in one process."""

    @pytest.mark.disk
    def test_two_journals(self, folder: Path, log: list[str]) -> None:
        one, two = FastAPI(), FastAPI()
        postludes = Postlude(one, store="sqlite:///one.db"), Postlude(two, store="sqlite:///two.db")
        add_route(one, "one")
        add_route(two, "two")
        with TestClient(one) as first, TestClient(two) as second:
            first.post("/x")
            second.post("/x")
            second.post("/x")
        assert [len(stored(postlude)) for postlude in postludes] == [1, 2]
        assert sorted(log) == ["one", "two", "two"]

    @pytest.mark.disk
    def test_two_applications_on_one_file(self, folder: Path, log: list[str]) -> None:
        apps = FastAPI(), FastAPI()
        postludes = [Postlude(app, store="sqlite:///jobs.db") for app in apps]
        for app, text in zip(apps, ("one", "two"), strict=True):
            add_route(app, text)
        with TestClient(apps[1]) as second:
            with TestClient(apps[0]) as first:
                for _ in range(20):
                    first.post("/x")
                    second.post("/x")
            # The first one's end must take neither locks nor jobs away from the second.
            for _ in range(20):
                second.post("/x")
            postludes[1].blocking.add_task(note_sync, "last")
            until(61)
        assert sorted(log) == ["last"] + ["one"] * 20 + ["two"] * 40
        assert set(stored(postludes[0])) == {State.SUCCEEDED}

    @pytest.mark.parametrize("kind", [FastAPI, Starlette])
    def test_two_starts(self, kind: type[Starlette], location: str, log: list[str]) -> None:
        app = kind()
        postlude = Postlude(app, store=location)
        if isinstance(app, FastAPI):
            add_route(app)
        for start in (1, 2):
            with TestClient(app) as client:
                if isinstance(app, FastAPI):
                    client.post("/x")
                    assert log == ["a"] * start
            if isinstance(app, FastAPI):
                TestClient(app).post("/x")
                log.pop()
        assert len(stored(postlude)) == (4 if isinstance(app, FastAPI) else 0)
