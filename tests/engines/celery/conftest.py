"""Brokers for the tests of the engine that has one."""

from collections.abc import Iterator

import pytest

from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQServer]:
    """A RabbitMQ for the tests of a process, which waits 20 seconds for an acknowledgement."""
    server = RabbitMQServer("consumer_timeout = 20000")
    yield server
    server.close()


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """A Redis for the tests of a process."""
    server = RedisServer()
    yield server
    server.close()
