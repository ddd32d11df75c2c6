"""A private application that proves, before a real one relies on it, that the hook in FastAPI works."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, NamedTuple

from fastapi import BackgroundTasks, Depends, FastAPI
from starlette.responses import Response
from starlette.types import Message

from postlude.desk import Prepared
from postlude.job import Job
from postlude.watch import SCOPE_KEY

_GOOD: Final = ["left", "commit", "http.response.start", "http.response.body", "start"]
_BAD: Final = ["left", "http.response.start", "http.response.body"]


class NotProven(Exception):
    """What the canary saw is not what must happen."""


class _Call(NamedTuple):
    job: Job[Any] = Job(bytes(16), "canary", "default")
    on_failure: bool = False
    concurrent: bool = False


class _Desk:
    """Writes down what happens, in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def prepare(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Prepared:
        return _Call()

    async def commit(self, prepared: Sequence[Prepared]) -> None:
        self.seen.append("commit")

    def start(self, prepared: Sequence[Prepared]) -> bool:
        self.seen.append("start")
        return True

    async def settle(self, prepared: Sequence[Prepared]) -> None: ...

    def serves(self) -> bool:
        return True

    def declares(self, function: Callable[..., Any]) -> bool:
        return False

    def in_memory(self, function: Callable[..., Any], why: str) -> None: ...


class Canary:
    """Two routes: one that succeeds, one that fails; both add a task, both have a dependency that leaves.

    Make it before the hook is installed, so that it also proves that earlier routes are covered.
    """

    def __init__(self) -> None:
        self.app = FastAPI(openapi_url=None)
        desk = self._desk = _Desk()

        async def leaves() -> AsyncIterator[None]:
            try:
                yield
            finally:
                desk.seen.append("left")

        # Before FastAPI 0.121 there is no scope, and all dependencies leave before the response.
        scoped = "scope" in Depends.__code__.co_varnames
        leaving = Depends(leaves, scope="function") if scoped else Depends(leaves)

        @self.app.get("/good", dependencies=[leaving])
        async def good(tasks: BackgroundTasks) -> None:
            tasks.add_task(_nothing)

        @self.app.get("/bad", dependencies=[leaving])
        async def bad(tasks: BackgroundTasks) -> None:
            tasks.add_task(_nothing)
            raise _Expected

        @self.app.exception_handler(_Expected)
        async def answer(request: Any, error: Exception) -> Any:
            return Response(status_code=500)

    def prove(self) -> None:
        """Send one request to each route.

        Raises:
            NotProven: something did not happen, or out of order.
        """
        failure: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(self._prove())
            except BaseException as error:
                failure.append(error)

        # In a thread of its own: this one may have a running event loop.
        thread = threading.Thread(target=run, name="postlude-canary")
        thread.start()
        thread.join()
        if failure:
            raise failure[0]

    async def _prove(self) -> None:
        for path, expected in (("/good", _GOOD), ("/bad", _BAD)):
            self._desk.seen.clear()
            await self.app(_scope(path, self._desk), _receive, self._send)
            if self._desk.seen != expected:
                raise NotProven(f"{path}: {self._desk.seen} instead of {expected}")

    async def _send(self, message: Message) -> None:
        self._desk.seen.append(message["type"])


def _nothing() -> None: ...


class _Expected(Exception):
    """Raised by the route that fails."""


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _scope(path: str, desk: _Desk) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": ("canary", 0),
        "server": ("canary", 80),
        SCOPE_KEY: desk,
    }
