"""Who may look: a dependency, a function, somebody at this machine, or nobody."""

from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse

from postlude import Access, Postlude, PostludeError
from postlude.dashboard.access import FORWARDED, is_loopback, is_loopback_name
from tests.app.serving import serving
from tests.dashboard.shop import LOCAL, Visitor

pytestmark = pytest.mark.anyio


async def status_of(
    app: Any, client: tuple[str, int] = LOCAL, host: str = "localhost:8000", path: str = "/", **headers: Any
) -> int:
    transport = httpx.ASGITransport(app, client=client)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as asking:
        return (
            await asking.get(
                path,
                headers={"Host": host, **{name.replace("_", "-"): text for name, text in headers.items()}},
            )
        ).status_code


async def test_nobody_is_told_that_there_is_a_dashboard() -> None:
    postlude = Postlude(store="memory")
    app = postlude.dashboard(auth=lambda request: None)
    for path in ("/", "/jobs", "/nothing", "/audit"):
        assert await status_of(app, path=path) == 404


def test_auth_has_no_default() -> None:
    with pytest.raises(TypeError, match="auth"):
        Postlude(store="memory").dashboard()  # type: ignore[call-arg]
    with pytest.raises(PostludeError, match="auth="):
        Postlude(store="memory").dashboard(auth="remote")  # type: ignore[arg-type]


async def test_what_is_no_access_is_no_access() -> None:
    app = Postlude(store="memory").dashboard(auth=lambda request: True)
    with pytest.raises(TypeError, match="Access"):
        await status_of(app)


@pytest.mark.parametrize(
    "client, host, headers, expected",
    [
        (("127.0.0.1", 1), "localhost:8000", {}, 200),
        (("::1", 1), "[::1]:8000", {}, 200),
        (("::ffff:127.0.0.1", 1), "127.0.0.1", {}, 200),
        (("10.0.0.7", 1), "localhost:8000", {}, 404),
        (("192.168.1.2", 1), "127.0.0.1", {}, 404),
        (("127.0.0.1", 1), "shop.example", {}, 404),
        (("127.0.0.1", 1), "localhost.shop.example", {}, 404),
        (("127.0.0.1", 1), "127.0.0.1.shop.example:80", {}, 404),
        *((("127.0.0.1", 1), "localhost", {name: "10.0.0.7"}, 404) for name in FORWARDED),
    ],
)
async def test_local_is_who_sits_here(
    client: tuple[str, int], host: str, headers: dict[str, str], expected: int
) -> None:
    postlude = Postlude(store="memory")
    async with serving(postlude):
        assert await status_of(postlude.dashboard(auth="local"), client, host, **headers) == expected


@pytest.mark.parametrize("text", ["", "testclient", "256.0.0.1", "::2", "localhost"])
def test_no_address_of_this_machine(text: str) -> None:
    assert not is_loopback(text)


def test_names_of_this_machine() -> None:
    assert is_loopback_name("LOCALHOST.:80")
    assert is_loopback_name("shop.localhost")
    assert not is_loopback_name("notlocalhost")
    assert not is_loopback_name("")


def mounted(auth: Any) -> FastAPI:
    app = FastAPI()
    postlude = Postlude(app, store="memory")
    app.mount("/background", postlude.dashboard(auth=auth))
    return app


async def test_a_dependency_of_fastapi_is_resolved_with_all_it_needs() -> None:
    def user(x_user: Annotated[str, Header()] = "") -> str:
        if not x_user:
            raise HTTPException(401, headers={"WWW-Authenticate": "Basic"})
        return x_user

    async def admin(user: Annotated[str, Depends(user)]) -> Access | None:
        return Access.admin(user) if user == "ada" else None

    app = mounted(admin)
    async with app.router.lifespan_context(app):
        assert await status_of(app, path="/background/") == 401
        assert await status_of(app, path="/background/", x_user="bob") == 404
        assert await status_of(app, path="/background/", x_user="ada") == 200
        app.dependency_overrides[user] = lambda: "ada"
        assert await status_of(app, path="/background/") == 200


async def test_a_way_to_the_login_is_passed_on() -> None:
    def admin(request: Request) -> Any:
        return RedirectResponse(f"/login?next={request.url.path}", 303)

    app = mounted(admin)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
        answer = await client.get("/background/jobs")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/background/jobs")


def test_access_takes_only_what_there_is() -> None:
    assert Access("ada", see={"logs"}).see == {"logs"}
    with pytest.raises(ValueError, match="'arguments', 'logs', 'results'"):
        Access("ada", see={"everything"})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="retry"):
        Access("ada", act="retry")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="names who"):
        Access("")


async def test_files_are_served_for_good_under_names_of_their_content() -> None:
    visitor = Visitor(Postlude(store="memory"))
    name = visitor.app._assets.name("dashboard.css")
    answer = await visitor.get(f"/static/{name}")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert (await visitor.get("/static/dashboard.css")).status_code == 404
    assert (await visitor.get("/static/../app.py")).status_code == 404
