"""The JavaScript of the documentation, in a browser, against a real server."""

import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
import uvicorn
from fastapi import Cookie, Depends, FastAPI, Header, HTTPException, Response
from fastapi.responses import HTMLResponse
from playwright.sync_api import Page, sync_playwright

from postlude import Postlude, current_job
from postlude.fastapi import Accepted, BackgroundTasks

PAGE = Path(__file__).parents[2] / "docs" / "status.md"
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium here: apt-get install chromium"),
]

GATE = threading.Event()


def counts(to: int) -> int:
    """Say half-way that it is there, and wait to be told to go on."""
    current_job().progress(to // 2, to)
    assert GATE.wait(30)
    return to


def known(session: Annotated[str, Cookie()] = "", authorization: Annotated[str, Header()] = "") -> None:
    """Ada has a cookie, Bob a token."""
    if session != "ada" and authorization != "Bearer bob":
        raise HTTPException(401)


@pytest.fixture
def server() -> Iterator[str]:
    app = FastAPI()
    postlude = Postlude(app, store="memory", packages=["tests"])
    app.include_router(postlude.router(prefix="/jobs", dependencies=[Depends(known)]))

    @app.get("/", response_class=HTMLResponse)
    def page(response: Response, log_in: bool = False) -> str:
        if log_in:
            response.set_cookie("session", "ada")
        samples = re.findall(r"^```js\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
        return f"<!doctype html><script>const heard = [];\n{''.join(samples)}</script>"

    @app.post("/counts", status_code=202)
    def start(tasks: BackgroundTasks) -> Accepted[int]:
        GATE.clear()
        return tasks.accepted(tasks.add_task(counts, 8))

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
            assert thread.is_alive()
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        GATE.set()
        server.should_exit = True
        thread.join()


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_page()
        browser.close()


def follow(page: Page, how: str) -> None:
    """Have the page start a job and follow it; what it is told goes into `heard`."""
    page.evaluate(
        "async () => { const job = await (await fetch('/counts', {method: 'POST'})).json(); "
        f"const tell = (now) => heard.push([now.state, now.progress?.percent, now.result]); {how} }}"
    )


def test_events_with_a_cookie(server: str, page: Page) -> None:
    page.goto(f"{server}/?log_in=1")
    follow(page, "follow(job, tell);")
    page.wait_for_function("heard.some(([state, percent]) => state === 'running' && percent === 50)")
    GATE.set()
    page.wait_for_function("heard.at(-1)[2] === 8")
    assert page.evaluate("heard.at(-1)") == ["succeeded", 50, 8]


def test_polling_with_a_token(server: str, page: Page) -> None:
    page.goto(server)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("response", lambda response: GATE.set() if response.url.endswith("/counts") else None)
    follow(page, "window.end = poll(job, 'bob', tell);")
    page.evaluate("end")
    assert page.evaluate("heard") == [["succeeded", 50, 8]]
    assert len(asked) == 2, "the call, and one poll that has waited"


def test_who_is_not_known_hears_nothing(server: str, page: Page) -> None:
    page.goto(server)
    follow(page, "window.end = poll(job, 'eve', tell).catch((error) => error.message);")
    assert page.evaluate("end") == "the job cannot be followed: 401"
    assert page.evaluate("heard") == []
