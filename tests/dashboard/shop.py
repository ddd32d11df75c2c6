"""A shop with a dashboard, for tests: its tasks, its application, and somebody who looks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
from pydantic import PlainSerializer, SecretStr

from postlude import Access, Config, Postlude
from postlude.model.state import State
from postlude.stores.protocol import Store
from tests.app.serving import becomes, serving

LOCAL = ("127.0.0.1", 1234)
TOKEN = "tok_4242"
SAME = {"Sec-Fetch-Site": "same-origin"}


class GatewayDown(Exception):
    """What charging a card raises."""


async def send(to: str, *, tenant: str = "acme") -> str:
    return f"sent to {to}"


async def charge(order: int, *, tenant: str = "acme", token: str = "") -> None:
    raise GatewayDown(f"no answer for {order} with {token}")


Card = Annotated[SecretStr, PlainSerializer(SecretStr.get_secret_value)]


async def pay(card: Card) -> str:
    return card.get_secret_value()


async def sweep() -> None: ...


class Visitor:
    """Looks at a dashboard.

    Attributes:
        access: who it is; None: nobody.
    """

    def __init__(self, postlude: Postlude, access: Access | None = None, **options: Any) -> None:
        self.postlude = postlude
        self.access = access or Access.admin("ada")
        self.app = postlude.dashboard(auth=self.asked, **options)

    def asked(self, request: Any) -> Access | None:
        return self.access

    async def get(self, path: str = "/", **options: Any) -> httpx.Response:
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> httpx.Response:
        return await self.request("POST", path, **{"headers": SAME, **options})

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, client=LOCAL)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client:
            return await client.request(method, path, **options)


@asynccontextmanager
async def visiting(
    access: Access | None = None,
    *,
    sweeps: bool = False,
    config: Config | None = None,
    store: str | Store = "memory",
    **options: Any,
) -> AsyncIterator[Visitor]:
    """Serve a shop with a journal in memory, and look at it; perhaps with a schedule."""
    postlude = Postlude(store=store, packages=["tests"], config=config)
    if sweeps:
        postlude.every(3600, name="sweep")(postlude.task(sweep))
    async with serving(postlude):
        yield Visitor(postlude, access, **options)


async def filled(visitor: Visitor) -> dict[str, str]:
    """Give it jobs of each kind; returns their ids."""
    postlude = visitor.postlude
    sent = await postlude.add_task(send, "ada@example.org")
    failed = [await postlude.add_task(charge, number, tenant="acme", token=TOKEN) for number in range(3)]
    paid = await postlude.add_task(pay, SecretStr("4111-1111-1111-1111"))
    later = await postlude.add_task(postlude.task(send).using(delay=3600), "bob@example.org")
    await becomes(postlude, sent, State.SUCCEEDED)
    await becomes(postlude, paid, State.SUCCEEDED)
    for job in failed:
        await becomes(postlude, job, State.FAILED)
    return {"sent": sent.id, "failed": failed[-1].id, "paid": paid.id, "later": later.id}
