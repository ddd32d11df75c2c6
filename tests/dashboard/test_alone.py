"""The dashboard of a journal alone: one browser is let in, once."""

import httpx
import pytest

from postlude.clock import SystemClock
from postlude.dashboard.alone import OneTimeToken, StoreDesk
from postlude.dashboard.app import Dashboard
from postlude.dashboard.site import Look
from postlude.stores.memory import MemoryStore
from tests.dashboard.shop import LOCAL

pytestmark = pytest.mark.anyio

HERE = "http://127.0.0.1:8001"


def made(*, acts: bool = True) -> tuple[OneTimeToken, Dashboard]:
    desk = StoreDesk(MemoryStore(SystemClock()))
    ask = OneTimeToken("cli:ada@host", 8001, acts=acts)
    return ask, Dashboard(lambda: desk, ask, Look("shop.db"))


def browser(app: Dashboard, client: tuple[str, int] = LOCAL) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=client), base_url=HERE)


async def test_the_address_lets_one_browser_in_once() -> None:
    ask, app = made()
    address = f"/?token={ask.token}"
    async with browser(app) as ada, browser(app) as eve:
        assert (await eve.get("/")).status_code == 404
        assert (await eve.get("/?token=guess")).status_code == 404
        first = await ada.get(address)
        assert (first.status_code, first.headers["location"]) == (303, "/")
        cookie = first.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert (await ada.get("/")).status_code == 200
        assert (await eve.get(address)).status_code == 404
        assert (await ada.get("/processes")).status_code == 200


async def test_not_from_elsewhere_and_not_by_another_name() -> None:
    ask, app = made()
    async with browser(app, ("10.0.0.7", 1)) as away, browser(app) as here:
        assert (await away.get(f"/?token={ask.token}")).status_code == 404
        rebound = await here.get(f"/?token={ask.token}", headers={"Host": "evil.example"})
        assert rebound.status_code == 404
        proxied = await here.get(f"/?token={ask.token}", headers={"X-Forwarded-For": "10.0.0.7"})
        assert proxied.status_code == 404
        assert ask.token is not None


async def test_only_to_look() -> None:
    ask, app = made(acts=False)
    async with browser(app) as ada:
        await ada.get(f"/?token={ask.token}")
        assert "read-only" in (await ada.get("/")).text
        sent = await ada.post("/pause", data={"kind": "queue", "name": "x"}, headers={"Origin": HERE})
        assert sent.status_code == 403
