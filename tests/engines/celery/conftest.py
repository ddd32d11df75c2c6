"""A journal, a broker and workers: by Redis, if nothing else is asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.celery.site import Site
from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer


@pytest.fixture
def at_redis(redis: RedisServer, tmp_path: Path) -> Iterator[Site]:
    redis.command("FLUSHALL")
    site = Site(tmp_path, redis.url)
    yield site
    site.close()


@pytest.fixture
def at_rabbitmq(rabbitmq: RabbitMQServer, tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, rabbitmq.url)
    yield site
    site.close()


@pytest.fixture
def site(at_redis: Site) -> Site:
    return at_redis
