"""A worker's own row in the journal: children that die, and a worker that hears nothing."""

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from postlude.stores.protocol import LivingRunner
from tests.engines.celery.shop import QUEUE, Shop
from tests.engines.celery.site import PATIENCE, Site

pytestmark = [
    pytest.mark.slow,
    pytest.mark.process,
    pytest.mark.disk,
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]


@pytest.fixture(params=["redis", "rabbitmq"])
def site(request: pytest.FixtureRequest) -> Site:
    site = request.getfixturevalue(f"at_{request.param}")
    assert isinstance(site, Site)
    return site


Rows = dict[int | None, list[LivingRunner]]


async def rows(shop: Shop, until: Callable[[Rows], bool]) -> Rows:
    """Return the runners of the worker by their parents, when they are so."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found: Rows = {}
            for one in await shop.postlude.components.store.living():
                if one.kind == "engine":
                    found.setdefault(one.parent, []).append(one)
            if until(found):
                return found
            await asyncio.sleep(0.05)


def whole(children: int) -> Callable[[Rows], bool]:
    """Say whether there is a parent with so many children."""

    def is_whole(found: Rows) -> bool:
        (parent, *more) = found.get(None, [None])
        return parent is not None and not more and len(found.get(parent.number, [])) == children

    return is_whole


async def test_each_process_has_a_row_below_the_workers(at_redis: Site) -> None:
    worker = at_redis.start(concurrency=2)
    async with at_redis.serving() as shop:
        found = await rows(shop, whole(2))
        (parent,) = found[None]
        assert (parent.slots, parent.deaf, QUEUE in parent.queues) == (0, None, True)
        children = found[parent.number]
        assert {one.pid for one in children} <= set(Site.children(worker))
        assert [one.slots for one in children] == [1, 1]
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 20) == 0
        assert await rows(shop, lambda found: not found) == {}


async def test_a_killed_child_is_heard_of_at_once(at_redis: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else looks for the dead within a minute."""
    monkeypatch.setenv("SHOP_REAP_EVERY", "60")
    monkeypatch.setenv("SHOP_LEASE", "60")
    site = Site(at_redis.folder, at_redis.shop.engine.app.conf.broker_url)
    try:
        site.start(concurrency=1)
        async with site.serving() as shop:
            await rows(shop, whole(1))
            job = await shop.postlude.add_task(shop.takes, 1, 1.5)
            async with asyncio.timeout(PATIENCE):
                while not (runs := site.runs().get(1)):
                    await asyncio.sleep(0.02)
            os.kill(runs[0][2], signal.SIGKILL)
            since = time.monotonic()
            assert await job.result(timeout=PATIENCE) == 1
            assert time.monotonic() - since < 15.0
        assert len(site.runs()[1]) == 2
    finally:
        site.close()


async def test_without_its_keeper_a_worker_begins_another(at_redis: Site) -> None:
    at_redis.start(concurrency=1)
    async with at_redis.serving() as shop:
        before = await rows(shop, whole(1))
        (parent,) = before[None]
        (child,) = before[parent.number]
        running = await shop.postlude.add_task(shop.takes, 1, 2.0)
        async with asyncio.timeout(PATIENCE):
            while not at_redis.runs().get(1):
                await asyncio.sleep(0.02)
        os.kill(parent.pid, signal.SIGKILL)
        after = await rows(
            shop,
            lambda found: (
                whole(1)(found) and child.pid not in {one.pid for of in found.values() for one in of}
            ),
        )
        assert after[None][0].pid != parent.pid
        assert await running.result(timeout=PATIENCE) == 1
        assert await (await shop.postlude.add_task(shop.note, 2)).result(timeout=PATIENCE) == 4
    assert len(at_redis.runs()[1]) == 1, "what ran when its parent went has ended as ever"


async def test_a_worker_that_hears_nothing_is_shown_and_begins_anew(site: Site) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = site.folder / "health"
    worker = site.start(
        "--deaf-after", "14", "--health", f"127.0.0.1:{port}", "--health-file", str(file), concurrency=1
    )
    async with site.serving() as shop:
        await rows(shop, whole(1))
        assert await (await shop.postlude.add_task(shop.note, 1)).result(timeout=PATIENCE) == 2
        assert (await told(port, "ready", lambda told: told["ready"]))["deaf"] is None
        async with asyncio.timeout(PATIENCE):
            while not file.exists():
                await asyncio.sleep(0.05)
        assert json.loads(file.read_text())["ready"]
        shop.engine.app.control.cancel_consumer(QUEUE)
        await asyncio.sleep(1)  # it is told by the broker
        job = await shop.postlude.add_task(shop.note, 2)
        found = await rows(shop, lambda found: any(one.deaf for one in found.get(None, [])))
        assert found[None][0].deaf is not None
        deaf = await told(port, "ready", lambda told: told["deaf"] is not None)
        assert (deaf["ready"], deaf["live"]) == (False, True)
        assert await job.result(timeout=PATIENCE) == 4
        assert worker.poll() is None, "it has taken its own place"
        assert (await rows(shop, whole(1)))[None][0].deaf is None
    log = site.log()
    assert "the worker has been deaf for" in log
    assert "none reaches it; they are published again, for others" in log
    assert "none reaches it; it ends, to begin anew" in log
    assert len(site.runs()[2]) == 1


async def told(port: int, what: str, until: Callable[[dict[str, object]], object]) -> dict[str, object]:
    """Return what a worker's health is when it is so."""

    def ask() -> dict[str, object]:
        try:
            with urlopen(f"http://127.0.0.1:{port}/{what}", timeout=5) as answer:
                found: dict[str, object] = json.load(answer)
        except HTTPError as error:
            found = json.load(error)
        return found

    async with asyncio.timeout(PATIENCE):
        while not until(found := await asyncio.to_thread(ask)):
            await asyncio.sleep(0.1)
    return found
