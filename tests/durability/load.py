"""Clients that post jobs without pause, over raw connections, and survive their server."""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from tests.durability.server import Server
from tests.durability.witness import Witness

KINDS: Final = ("noop", "noop", "noop", "noop", "nap", "nap", "sync", "declared", "several")
"""What is asked for, as often as it stands here."""

HANGS: Final = 30.0
"""Seconds after which a request without an answer is a fault of its own."""


class Load:
    """So many connections, each asking for one job after another.

    Args:
        server: whose port is looked up for each connection.
        witness: where clients note what they mean to do and what was acknowledged.
        seed: of what they ask for.
    """

    def __init__(self, server: Server, witness: Witness, seed: int) -> None:
        self._server = server
        self._witness = witness
        self._seed = seed
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self.acked = 0
        self.answers: Counter[int] = Counter()
        self.pids: Counter[int] = Counter()
        """Which processes have answered."""

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(32)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        await asyncio.gather(*self._tasks)

    async def reach(self, acked: int) -> None:
        """Return when so many requests have been acknowledged."""
        await self.until(lambda: self.acked >= acked, f"{acked} acknowledged requests")

    async def until(self, condition: Callable[[], object], what: str, within: float = 60) -> None:
        """Return when the condition holds, while the clients go on."""
        deadline = time.monotonic() + within
        while not condition():
            assert time.monotonic() < deadline, f"not within {within} s: {what}; {self.acked} acknowledged"
            for task in self._tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.02)

    async def _client(self, number: int) -> None:
        rng = random.Random(self._seed * 1000 + number)
        count = 0
        while not self._stopping:
            if (port := self._server.port) is None:
                await asyncio.sleep(0.02)
                continue
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            try:
                # Now and then a new connection, so that every worker gets some.
                for _ in range(rng.randrange(1, 100)):
                    if self._stopping:
                        break
                    count += 1
                    await self._ask(reader, writer, rng.choice(KINDS), f"{os.getpid()}-{number}-{count}")
            except (OSError, asyncio.IncompleteReadError):
                pass  # killed: whether the request was taken is unknown
            finally:
                writer.close()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: str, token: str
    ) -> None:
        tokens = [f"{token}.{place}" for place in range(3)] if kind == "several" else [token]
        for each in tokens:
            self._witness.note("intent", each)
        writer.write(f"POST /jobs/{kind}/{token} HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n".encode())
        async with asyncio.timeout(HANGS):
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0]
            body = await reader.readexactly(int(length))
        status = int(head[9:12])
        self.answers[status] += 1
        if status == 503:
            for each in tokens:
                self._witness.note("refused", each)
        if status == 200:
            for each in tokens:
                self._witness.note("acked", each)
            self.acked += 1
            self.pids[int(body)] += 1
