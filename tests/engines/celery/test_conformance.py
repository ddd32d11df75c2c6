"""The engine passes the suite for engines, with Celery's own worker and with real brokers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postlude import Limit, Rate
from postlude.engines.protocol import Engine
from postlude.runner.duties import outbox
from postlude.stores.protocol import Store
from postlude.stores.sqlite import SqliteStore
from postlude.testing.conformance.engines import EngineBench, EngineConformance
from tests.engines.celery.inside import Inside
from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.disk]


WINDOW = 8
"""Twice as many as the worker has threads."""


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "WINDOW", WINDOW)


class CeleryBench(EngineBench):
    a_while = 0.3
    window = WINDOW

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._folder = url, folder
        self.engines: list[Inside] = []

    def engine(self, limit: Limit | None = None, rate: Rate | None = None) -> Engine:
        engine = Inside(self._url, limit=limit, rate=rate)
        self.engines.append(engine)
        return engine

    def store(self) -> Store:
        store: Store = SqliteStore(self._folder / "jobs.db")
        return store


def bench_of(server: Any, folder: Path) -> Iterator[EngineBench]:
    bench = CeleryBench(server.url, folder)
    yield bench
    for engine in bench.engines:
        engine.end()


class TestRabbitMQ(EngineConformance):
    @pytest.fixture
    def bench(self, rabbitmq: RabbitMQServer, tmp_path: Path) -> Iterator[EngineBench]:
        yield from bench_of(rabbitmq, tmp_path)


class TestRedis(EngineConformance):
    @pytest.fixture
    def bench(self, redis: RedisServer, tmp_path: Path) -> Iterator[EngineBench]:
        yield from bench_of(redis, tmp_path)
