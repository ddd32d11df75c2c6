"""A shop with a dashboard behind a real server, in a thread: for browsers."""

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse

from postlude import Access, Local, Postlude, Retry
from postlude.model.retry import Fixed

LOG: Final = logging.getLogger("shop.mail")


class ServerDisconnected(Exception):
    """What a mail server does."""


class Shop:
    """The application, and who looks at its dashboard.

    Attributes:
        access: who looks.
        url: of the dashboard.
    """

    def __init__(self) -> None:
        self.access = Access.admin("ada")
        self.url = ""
        self.app = FastAPI(title="Shop")
        self.postlude = postlude = Postlude(
            self.app, store="memory", packages=["tests"], queues={"mail": Local(concurrency=4)}
        )
        self.send = postlude.task(send_receipt, queue="mail", retry=Retry(attempts=1))
        self.charge = postlude.task(charge_card, retry=Retry(attempts=5, backoff=Fixed(600)))
        self.import_orders = postlude.task(import_orders)
        postlude.every(3600, name="sweep carts")(postlude.task(sweep))
        self.app.mount("/background", postlude.dashboard(auth=self.asked, environment="staging"))
        self.loop: asyncio.AbstractEventLoop | None = None

    def asked(self, request: Request) -> Access:
        return self.access

    def do(self, coroutine: Any) -> Any:
        """Do something on the server's loop."""
        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def add(self, task: Any, *args: Any, **kwargs: Any) -> str:
        job: Any = self.do(self.postlude.add_task(task, *args, **kwargs))
        return str(job.id)

    def ended(self, *ids: str) -> None:
        """Wait until these jobs have ended, or wait to be tried again."""

        async def wait() -> None:
            for id in ids:
                while True:
                    status = await self.postlude.inspector.get(id)
                    if status.ended or status.retrying:
                        break
                    await asyncio.sleep(0.01)

        self.do(wait())

    def fill(self) -> None:
        """Give it jobs of all kinds."""
        sent = [self.add(self.send, number, f"user{number}@example.org", "globex") for number in range(12)]
        lost = [
            self.add(self.send, number, f"user{number}@example.org", "acme") for number in range(100, 104)
        ]
        tried = [self.add(self.charge, number, token="tok_4242") for number in range(3)]
        self.add(self.send.using(delay=3600), 7, "later@example.org", "globex")
        self.ended(*sent, *lost, *tried)


async def send_receipt(order: int, to: str, tenant: str) -> str:
    LOG.warning("sending receipt %s", order)
    if tenant == "acme":
        connect(to)
    return f"sent {order}"


def connect(to: str) -> None:
    raise ServerDisconnected(f"mail.example.org closed the connection for {to}")


async def charge_card(order: int, token: str) -> None:
    raise TimeoutError("payment gateway did not answer within 5 s")


async def import_orders(file: str) -> None:
    await asyncio.sleep(3600)


async def sweep() -> int:
    return 3


@contextmanager
def served(app: FastAPI, host: str = "127.0.0.1") -> Iterator[tuple[str, asyncio.AbstractEventLoop]]:
    """Serve an application; gives its address and the loop that serves it."""
    listening = socket.socket()
    listening.bind((host, 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2))
    loops: list[asyncio.AbstractEventLoop] = []
    started = threading.Event()

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        started.set()
        await serving

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(20)
    try:
        yield f"http://{host}:{listening.getsockname()[1]}", loops[0]
    finally:
        server.should_exit = True
        thread.join(20)


@contextmanager
def served_shop() -> Iterator[Shop]:
    shop = Shop()
    with served(shop.app) as (url, loop):
        shop.url, shop.loop = f"{url}/background", loop
        yield shop


def elsewhere(target: str) -> FastAPI:
    """Return another site, whose pages send to the dashboard."""
    app = FastAPI()

    @app.get("/form")
    def form() -> HTMLResponse:
        fields = '<input name="kind" value="queue"><input name="name" value="mail">'
        return HTMLResponse(
            f'<form method="post" action="{target}/pause">{fields}<button>Win</button></form>'
        )

    @app.get("/frame")
    def frame() -> HTMLResponse:
        return HTMLResponse(f'<iframe src="{target}/" width="800" height="600"></iframe>')

    return app
