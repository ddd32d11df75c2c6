"""Several lifespans of one application at once: nested test clients, two servers of one process."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from unittest.mock import Mock

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Request
from fastapi.testclient import TestClient

from postlude import Config, Postlude
from postlude.errors import JournalUnavailable
from postlude.model.state import State
from tests.app.serving import becomes, serving
from tests.app.work import say
from tests.request.asgi import call, status

QUICK = Config(poll_every=0.005, tune_gc=False)


class Shop:
    """An application with a loop-bound resource, and its Postlude."""

    def __init__(self, location: str) -> None:
        self.app = FastAPI(lifespan=self._lifespan)
        self.postlude = Postlude(self.app, store=location, config=QUICK)
        self.loops: dict[str, asyncio.AbstractEventLoop] = {}
        self.pools: dict[str, asyncio.AbstractEventLoop] = {}

        @self.postlude.task(name="keep")
        async def keep(word: str, loop: Annotated[Any, Depends(pool)]) -> None:
            self.loops[word], self.pools[word] = asyncio.get_running_loop(), loop

        @self.app.post("/{word}")
        async def add(word: str, tasks: BackgroundTasks) -> None:
            tasks.add_task(say, word)
            tasks.add_task(keep, word)  # type: ignore[call-arg]

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        yield {"pool": asyncio.get_running_loop()}


def pool(request: Request) -> Any:
    return request.state.pool


@pytest.fixture
def shop(location: str) -> Shop:
    return Shop(location)


def test_the_first_goes_on_when_the_second_has_ended(
    shop: Shop, log: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with TestClient(shop.app) as first:
        with TestClient(shop.app) as second:
            for client, word in ((first, "a"), (second, "b"), (first, "c")):
                assert client.post(f"/{word}").status_code == 200
            assert len(shop.postlude.components.producer.runners) == 2
        (runner,) = shop.postlude.components.producer.runners
        assert not runner.draining
        assert first.post("/d").status_code == 200
    assert log == ["a", "b", "c", "d"]
    assert not [record for record in caplog.records if record.levelname != "INFO"]
    assert [shop.loops[word] is shop.loops["a"] for word in "abcd"] == [True, False, True, True]
    assert shop.pools == shop.loops, "each job sees what the lifespan of its loop has yielded"
    assert shop.postlude.components.producer.runners == []


def test_the_second_goes_on_when_the_first_has_ended(shop: Shop, log: list[str]) -> None:
    first, second = TestClient(shop.app), TestClient(shop.app)
    first.__enter__()
    with second:
        first.post("/a")
        first.__exit__(None, None, None)
        assert second.post("/b").status_code == 200
        with TestClient(shop.app) as third:
            assert third.post("/c").status_code == 200
        assert second.post("/d").status_code == 200
    assert log == ["a", "b", "c", "d"]


@pytest.mark.anyio
async def test_those_of_one_loop_share_a_runner(shop: Shop, log: list[str]) -> None:
    one, other = shop.postlude.begin(), shop.postlude.begin()
    await one.open()
    await other.open()
    await asyncio.gather(one.start(), other.start())
    (runner,) = shop.postlude.components.producer.runners
    await one.drain()
    await one.close()
    assert shop.postlude.components.producer.runners == [runner]
    await becomes(shop.postlude, await shop.postlude.add_task(say, "a"), State.SUCCEEDED)
    await other.drain()
    assert shop.postlude.components.producer.runners == []
    await other.close()
    assert log == ["a"]


@pytest.mark.anyio
async def test_one_that_ends_without_its_shutdown_takes_no_other_along(shop: Shop, log: list[str]) -> None:
    one, other = shop.postlude.begin(), shop.postlude.begin()
    for lifespan in (one, other):
        await lifespan.open()
        await lifespan.start()
    await one.close()
    await one.close()
    await becomes(shop.postlude, await shop.postlude.add_task(say, "a"), State.SUCCEEDED)
    await other.close()
    assert shop.postlude.components.producer.runners == []


@pytest.mark.anyio
async def test_a_runner_starts_afresh_after_the_last_of_its_loop(shop: Shop, log: list[str]) -> None:
    for word in "ab":
        lifespan = shop.postlude.begin()
        await lifespan.open()
        await lifespan.start()
        await becomes(shop.postlude, await shop.postlude.add_task(say, word), State.SUCCEEDED)
        await lifespan.drain()
        await lifespan.close()
    assert log == ["a", "b"]


@pytest.mark.anyio
async def test_one_that_cannot_start_leaves_the_journal_to_the_others(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    one, other = shop.postlude.begin(), shop.postlude.begin()
    store = shop.postlude.components.store
    close = Mock(wraps=store.close)
    monkeypatch.setattr(store, "close", close)
    await one.open()
    await one.start()

    async def fails() -> None:
        raise JournalUnavailable("not now")

    with monkeypatch.context() as patch:
        patch.setattr(store, "counts", fails)
        with pytest.raises(JournalUnavailable):
            await other.open()
    await becomes(shop.postlude, await shop.postlude.add_task(say, "a"), State.SUCCEEDED)
    await one.drain()
    close.assert_not_called()
    await one.close()
    close.assert_called_once_with()


def test_jobs_of_both_run_while_neither_waits(shop: Shop, log: list[str]) -> None:
    """As in two servers: what one loop adds while the other starts and ends is neither lost nor refused."""
    over = threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            with TestClient(shop.app) as guest:
                guest.post("/guest")

    with TestClient(shop.app) as host:
        guest = threading.Thread(target=come_and_go)
        guest.start()
        try:
            for _ in range(50):
                assert host.post("/host").status_code == 200
        finally:
            over.set()
            guest.join()
        assert host.post("/host").status_code == 200
    assert log.count("host") == 51
    assert log.count("guest") >= 1


@pytest.mark.anyio
async def test_beside_a_runner_that_was_started_by_hand_no_request_looks_for_work(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """It would run jobs whose responses have not ended, and say that no lifespan runs."""

    @shop.app.get("/nothing")
    async def nothing() -> None: ...

    async with serving(shop.postlude):
        assert status(await call(shop.app, "/nothing", log=[])) == 200
        await asyncio.sleep(0)
        kinds = [runner.kind for runner in await shop.postlude.components.store.living()]
    assert kinds == ["app"]
    assert "no lifespan" not in caplog.text


@pytest.mark.anyio
async def test_runners_say_which_release_they_are_of() -> None:
    postlude = Postlude(store="memory", packages=["tests"], config=Config(release="r42"))
    async with serving(postlude):
        await postlude.components.inline.runner()  # that of requests where no lifespan runs
        found = await postlude.components.store.living()
    assert [(one.kind, one.release) for one in found] == [("app", "r42"), ("inline", "r42")]
