"""Dramatiq, with RabbitMQ."""

import time
from contextlib import suppress
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from bench.peers.apps import DURABLE, URL
from bench.peers.apps import application as made
from bench.peers.record import job

broker: Any = RabbitmqBroker(url=URL.removesuffix("//") + "/%2F", confirm_delivery=DURABLE)
dramatiq.set_broker(broker)
task: Any = dramatiq.actor(job)


def add(number: int, added: float) -> None:
    """Add one."""
    task.send(number, added)


def application() -> Any:
    """Return the application."""
    return made(add)


def fill(count: int) -> None:
    """Add so many."""
    now = time.monotonic()
    for number in range(count):
        add(number, now)
    broker.close()


def left() -> int:
    """Return how many the broker holds; what a killed worker had not acknowledged is among them."""
    import pika

    connection: Any = pika.BlockingConnection(broker.parameters)
    found = 0
    for name in ("default", "default.DQ"):
        with suppress(pika.exceptions.ChannelClosedByBroker):
            found += connection.channel().queue_declare(name, passive=True).method.message_count
    connection.close()
    return found
