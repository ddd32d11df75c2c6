"""Makes docs/images: `make pictures`. A shop lives through an hour on its own clock, then Chromium looks.

Not the demo: its journal is minutes old, and its tracebacks name the folder that the repository lies in.
"""

import asyncio
import importlib.util
import linecache
import logging
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal

import uvicorn

from postlude import Pause
from postlude.jobs.deeds import deed

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT: Final = Path(__file__).parents[1]
IMAGES: Final = ROOT / "docs" / "images"
CHROMIUM: Final = shutil.which("chromium") or "/usr/bin/chromium"
MOST: Final = 120_000
"""Bytes of a picture."""

SHOWN_AS: Final = "/srv/shop/shop.py"
MINUTES: Final = 60
SIZE: Final = {"width": 1080, "height": 690}


def shop() -> ModuleType:
    """Import the shop, as if it lay where a server has it."""
    source = (ROOT / "scripts" / "pictured_shop.py").read_text("utf-8")
    linecache.cache[SHOWN_AS] = (len(source), None, source.splitlines(keepends=True), SHOWN_AS)
    spec = importlib.util.spec_from_loader("shop", loader=None, origin=SHOWN_AS)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = SHOWN_AS
    sys.modules["shop"] = module
    exec(compile(source, SHOWN_AS, "exec"), vars(module))
    return module


async def live(shop: Any) -> None:
    """Let an hour pass, in which the mails of one tenant begin to fail."""
    order = 0
    for minute in range(MINUTES):
        begun = shop.clock.now()
        jobs = []
        for _ in range(shop.chance.randint(4, 12)):
            order += 1
            fails = minute > 25 and shop.chance.random() < 0.12
            tenant = "acme" if fails else shop.chance.choice(("globex", "initech"))
            jobs.append(
                await shop.postlude.add_task(shop.send_receipt, order, f"user{order}@example.org", tenant)
            )
            if order % 5 == 0:
                jobs.append(await shop.postlude.add_task(shop.charge_card, order))
        for job in jobs:
            async for _ in job.changes():  # until it has ended
                pass
        shop.clock.set(60 - (shop.clock.now() - begun) / 1_000_000)
    for number in range(6):
        await shop.postlude.add_task(
            shop.send_receipt.using(delay=1800), number, f"user{number}@example.org", "globex"
        )
    await shop.postlude.add_task(shop.import_orders, "orders.csv")
    who = deed("ada", "pause", f"--task {shop.charge_card.name}")
    await shop.postlude.components.store.pause(Pause("task", shop.charge_card.name), by=who)
    shop.clock.set(4)


@contextmanager
def served(shop: Any) -> Iterator[str]:
    """Serve it, live through the hour, and give the dashboard's address."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(shop.app, log_level="critical", timeout_graceful_shutdown=2))
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve(sockets=[listening])

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        asyncio.run_coroutine_threadsafe(live(shop), loops[0]).result(300)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/background/"
    finally:
        shop.door.set()
        server.should_exit = True
        thread.join()


def take(page: "Page", name: str) -> None:
    """Keep what the page shows; raises if it is too large a file."""
    path = IMAGES / f"{name}.png"
    page.mouse.move(0, 0)
    page.screenshot(path=path, animations="disabled")
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {size:,} bytes")
    if size > MOST:
        raise SystemExit(f"{path.name} has {size:,} bytes, {MOST:,} at most: make the window smaller")


def main() -> None:
    """Make them all."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        os.environ["POSTLUDE_STORE"] = f"sqlite:///{folder}/postlude.db"
        logging.getLogger("postlude").setLevel(logging.CRITICAL)  # jobs fail on purpose
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        with served(shop()) as url:
            looks: tuple[tuple[Literal["light", "dark"], str], ...] = (("light", ""), ("dark", "-dark"))
            for scheme, ending in looks:
                page = browser.new_page(viewport=SIZE, color_scheme=scheme)  # type: ignore[arg-type]
                page.goto(url)
                take(page, f"now{ending}")
                page.get_by_text("ended").first.wait_for()
                page.goto(f"{url}failures")
                page.get_by_role("link", name="SMTPServerDisconnected").first.click()
                page.get_by_role("heading", name="In common").wait_for()
                if scheme == "light":
                    take(page, "group")
                else:
                    page.locator("a", has_text="send_receipt").last.click()
                    page.get_by_role("heading", name="Arguments").wait_for()
                    take(page, "job-dark")
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
