"""A load generator: HTTP/1.1 over keep-alive connections, as little work per request as asyncio allows.

    python -m bench.load PORT PATH CONNECTIONS SECONDS [RATE]

Prints one line of JSON. With RATE, requests are sent at that many a second in all, on time whether or
not the ones before were answered; otherwise each connection sends its next when it has its answer.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass

from bench.machine import pin


@dataclass(frozen=True, slots=True)
class Load:
    """What a run of the load generator has seen. Latencies are in milliseconds."""

    requests: int
    errors: int
    seconds: float
    per_second: float
    p50: float
    p99: float
    worst: float

    @classmethod
    def of(cls, latencies: list[float], errors: int, seconds: float) -> "Load":
        """Sum up latencies that were measured in seconds."""
        ordered = sorted(latencies) or [0.0]
        return cls(
            requests=len(latencies),
            errors=errors,
            seconds=round(seconds, 3),
            per_second=round(len(latencies) / seconds, 1),
            p50=round(quantile(ordered, 0.50) * 1000, 3),
            p99=round(quantile(ordered, 0.99) * 1000, 3),
            worst=round(ordered[-1] * 1000, 3),
        )


def quantile(ordered: list[float], share: float) -> float:
    """Return the value that this share of the sorted values does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Connection(asyncio.Protocol):
    """One keep-alive connection. It understands what uvicorn sends: a head, a Content-Length, a body."""

    def __init__(self, request: bytes) -> None:
        self.latencies: list[float] = []
        self.errors = 0
        self.lost = False
        self.until = 0.0
        self._request = request
        self._buffer = b""
        self._sent = 0.0
        self._idle = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._idle.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._idle.set()

    def send(self) -> None:
        """Send the request; the answer is measured from now."""
        assert self._transport is not None
        self._idle.clear()
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    async def idle(self) -> None:
        """Return when no answer is awaited."""
        await self._idle.wait()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = self._buffer.find(b"content-length: ")
        assert 0 <= length < head, "an answer without a Content-Length"
        end = head + 4 + int(self._buffer[length + 16 : self._buffer.index(b"\r\n", length)])
        if len(self._buffer) < end:
            return
        now = time.perf_counter()
        self.latencies.append(now - self._sent)
        self.errors += not self._buffer.startswith(b"HTTP/1.1 2")
        self._buffer = self._buffer[end:]
        if now < self.until:
            self.send()
        else:
            self._idle.set()

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()


async def saturate(port: int, path: str, connections: int, seconds: float) -> Load:
    """Keep this many connections busy."""
    clients = await _connect(port, path, connections)
    began = time.perf_counter()
    for client in clients:
        client.until = began + seconds
        client.send()
    for client in clients:
        await asyncio.wait_for(client.idle(), seconds + 60)
    return _sum(clients, time.perf_counter() - began)


async def pace(port: int, path: str, connections: int, seconds: float, rate: float) -> Load:
    """Send at a steady rate, over the connections in turn."""
    clients = await _connect(port, path, connections)
    began = time.perf_counter()
    for number in range(int(seconds * rate)):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        client = clients[number % len(clients)]
        await client.idle()
        client.send()
    for client in clients:
        await asyncio.wait_for(client.idle(), 60)
    return _sum(clients, time.perf_counter() - began)


async def _connect(port: int, path: str, connections: int) -> list[Connection]:
    request = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n".encode("ascii")
    loop = asyncio.get_running_loop()
    made = [
        loop.create_connection(lambda: Connection(request), "127.0.0.1", port) for _ in range(connections)
    ]
    return [client for _, client in await asyncio.gather(*made)]


def _sum(clients: list[Connection], seconds: float) -> Load:
    lost = sum(client.lost for client in clients)
    for client in clients:
        client.close()
    latencies = [latency for client in clients for latency in client.latencies]
    return Load.of(latencies, lost + sum(client.errors for client in clients), seconds)


def main() -> None:
    """Run from the command line."""
    pin(1)
    port, path, connections, seconds, *rate = sys.argv[1:]
    if rate:
        work = pace(int(port), path, int(connections), float(seconds), float(rate[0]))
    else:
        work = saturate(int(port), path, int(connections), float(seconds))
    print(json.dumps(asdict(asyncio.run(work))))


if __name__ == "__main__":
    main()
