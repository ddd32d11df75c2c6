"""Owners over HTTP: each is told of their own jobs, and of no others, by every route."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, NamedTuple

import httpx
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Request

from postlude import Postlude
from postlude.fastapi import Accepted, BackgroundTasks
from tests.app import returning
from tests.app.serving import serving

pytestmark = pytest.mark.anyio

User = str | None
Owner = Any


def user(x_user: Annotated[str | None, Header()] = None) -> User:
    """Who asks, or adds: a dependency of the kind that applications have."""
    return x_user


class Clients(NamedTuple):
    """An application with jobs of several owners, and a client that can be each of them."""

    app: FastAPI
    postlude: Postlude
    http: httpx.AsyncClient

    async def add(self, who: User, conflict: str = "keep", key: str | None = None) -> str:
        answer = await self.http.post("/add", params={"how": f"{conflict} {key or ''}"}, headers=named(who))
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def ask(self, who: User, route: str, id: str) -> int:
        method, path, headers = ROUTES[route]
        answer = await self.http.request(method, path.format(id), headers={**headers, **named(who)})
        if answer.status_code == 404:
            unknown = await self.http.request(
                method, path.format("01a22656-0320-7000-95b4-7cea49a57d8f"), headers=headers
            )
            assert (answer.text, answer.headers) == (unknown.text, unknown.headers), "it tells nothing"
        return answer.status_code


def named(who: User) -> dict[str, str]:
    return {} if who is None else {"x-user": who}


ROUTES: dict[str, tuple[str, str, dict[str, str]]] = {
    "get": ("GET", "/jobs/{}", {}),
    "wait": ("GET", "/jobs/{}", {"prefer": "wait=0"}),
    "events": ("GET", "/jobs/{}/events", {}),
    "cancel": ("POST", "/jobs/{}/cancel", {}),
}


@asynccontextmanager
async def served(location: str, adds: Owner = user, asks: Owner = user) -> AsyncIterator[Clients]:
    app = FastAPI()
    postlude = Postlude(app, store=location, owner=adds)
    app.include_router(postlude.router(prefix="/jobs", owner=asks))
    app.include_router(postlude.router(prefix="/operator"))
    task = postlude.task(returning.nothing)

    @app.post("/add", status_code=202)
    async def add(how: str, tasks: BackgroundTasks) -> Accepted[None]:
        conflict, _, key = how.partition(" ")
        options: dict[str, Any] = {"key": key, "on_conflict": conflict} if key else {}
        return tasks.accepted(tasks.add_task(task.using(delay=3600, **options)))

    transport = httpx.ASGITransport(app)
    async with serving(postlude), httpx.AsyncClient(transport=transport, base_url="http://t") as http:
        yield Clients(app, postlude, http)


async def own(clients: Clients) -> str:
    return await clients.add("ada")


async def nobodys(clients: Clients) -> str:
    return await clients.add(None)


async def merged(clients: Clients) -> str:
    """Ada's call, which was merged into bob's job."""
    await clients.add("bob", key="k")
    return await clients.add("ada", key="k")


async def merged_nobodys(clients: Clients) -> str:
    await clients.add("ada", key="k")
    return await clients.add(None, key="k")


async def replaced(clients: Clients) -> str:
    """Ada's call, which bob's has replaced."""
    id = await clients.add("ada", key="k")
    await clients.add("bob", "replace", key="k")
    return id


async def replacing(clients: Clients) -> str:
    """Ada's call, which has replaced bob's."""
    await clients.add("bob", key="k")
    return await clients.add("ada", "replace", key="k")


OTHERS: list[User] = ["bob", "carol", "Ada", None]
HIDDEN = dict.fromkeys(ROUTES, 404)
OWN = dict.fromkeys(ROUTES, 200)
TABLE: list[tuple[Callable[[Clients], Any], dict[str, int]]] = [
    (own, OWN),
    (merged, OWN | {"cancel": 409}),
    (replaced, OWN | {"cancel": 409}),
    (replacing, OWN),
    (nobodys, HIDDEN),
    (merged_nobodys, HIDDEN),
]
"""What ada is answered by each route. Everybody else is answered 404."""


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("made", "answers"), TABLE, ids=[made.__name__ for made, _ in TABLE])
async def test_each_sees_their_own(
    location: str, made: Callable[[Clients], Any], answers: dict[str, int], route: str
) -> None:
    async with served(location) as clients:
        id = await made(clients)
        if route == "events":  # which ends with the job
            await clients.postlude.cancel(id)
        before = (await clients.http.get(f"/operator/{id}")).json()
        assert {who: await clients.ask(who, route, id) for who in OTHERS} == dict.fromkeys(OTHERS, 404)
        assert (await clients.http.get(f"/operator/{id}")).json() == before
        assert await clients.ask("ada", route, id) == answers[route]


async def test_what_was_merged_is_told_to_its_owner_under_its_own_id(location: str) -> None:
    async with served(location) as clients:
        bobs = await clients.add("bob", key="k")
        adas = await clients.add("ada", key="k")
        told = (await clients.http.get(f"/jobs/{adas}", headers=named("ada"))).json()
        assert (told["id"], bobs in str(told)) == (adas, False)
        assert await clients.ask("ada", "get", bobs) == 404
        assert await clients.ask("bob", "get", bobs) == 200


async def test_who_cannot_be_known_is_answered_by_the_dependency(location: str) -> None:
    def nobody() -> User:
        raise HTTPException(401, "Who are you?")

    async with served(location, asks=nobody) as clients:
        id = await clients.add("ada")
        for route in ROUTES:
            assert await clients.ask("ada", route, id) == 401


@pytest.mark.parametrize(
    "asks",
    [lambda request: request.headers.get("x-user"), Depends(user)],
    ids=["function of the request", "Depends"],
)
async def test_ways_to_say_who_asks(asks: Owner) -> None:
    async with served("memory", asks=asks) as clients:
        id = await clients.add("ada")
        assert [await clients.ask(who, "get", id) for who in ("ada", "bob", None)] == [200, 404, 404]


async def test_it_is_a_dependency_that_can_be_overridden() -> None:
    async def current(request: Request, name: Annotated[User, Depends(user)]) -> User:
        return name and name.lower()

    async with served("memory", asks=current) as clients:
        id = await clients.add("ada")
        assert await clients.ask("ADA", "get", id) == 200
        clients.app.dependency_overrides[user] = lambda: "bob"
        assert await clients.ask("ada", "get", id) == 404


async def test_what_is_no_text_is_an_error_and_not_a_stranger() -> None:
    async with served("memory", asks=lambda request: 7) as clients:
        id = await clients.add("ada")
        with pytest.raises(TypeError, match=r"router\(owner=\) gave 7: give a text"):
            await clients.ask("ada", "get", id)


async def test_a_router_without_an_owner_tells_all() -> None:
    async with served("memory") as clients:
        for id in (await clients.add("ada"), await clients.add(None)):
            assert (await clients.http.get(f"/operator/{id}")).status_code == 200
