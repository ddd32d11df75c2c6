"""Celery, with RabbitMQ or Redis."""

import time
from typing import Any

from celery import Celery

from bench.peers.apps import DURABLE, URL
from bench.peers.apps import application as made
from bench.peers.record import job

QUEUE = "celery"
REDIS = URL.startswith("redis")

celery_app = Celery("peers", broker=URL)
celery_app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
if DURABLE:
    celery_app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True)
    options: dict[str, Any] = {"visibility_timeout": 10} if REDIS else {"confirm_publish": True}
    celery_app.conf.broker_transport_options = options

task: Any = celery_app.task(name="job")(job)


def add(number: int, added: float) -> None:
    """Add one."""
    task.delay(number, added)


def application() -> Any:
    """Return the application."""
    return made(add)


def fill(count: int) -> None:
    """Add so many."""
    now = time.monotonic()
    with celery_app.connection_for_write() as connection:
        producer = connection.Producer()
        for number in range(count):
            task.apply_async((number, now), producer=producer)


def left() -> int:
    """Return how many the broker holds; what a killed worker had not acknowledged is among them."""
    if REDIS:
        import redis

        client: Any = redis.Redis.from_url(URL)
        return int(client.llen(QUEUE)) + int(client.hlen("unacked"))
    with celery_app.connection_for_read() as connection:
        try:
            return int(connection.default_channel.queue_declare(QUEUE, passive=True).message_count)
        except connection.channel_errors:
            return 0
