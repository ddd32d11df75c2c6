"""Queues of RabbitMQ's: those that are there stay as they are."""

from typing import Any

import pytest
from kombu.connection import Connection
from kombu.entity import Exchange, Queue

from postlude.engines.celery.publisher import declared_queue
from tests.servers.rabbitmq import RabbitMQServer

pytestmark = [pytest.mark.slow, pytest.mark.process]

QUORUM = {"x-queue-type": "quorum"}


@pytest.mark.parametrize(
    ("there", "kind", "known_as"),
    [
        (None, "classic", None),
        (None, "quorum", "quorum"),
        ({}, "quorum", "quorum"),
        ({"x-max-priority": 10}, "classic", None),
        ({"x-message-ttl": 60_000}, "classic", None),
        (QUORUM, "classic", "quorum"),
        (QUORUM | {"x-delivery-limit": 7}, "classic", "quorum"),
    ],
)
def test_a_queue_that_is_there_stays_as_it_is(
    rabbitmq: RabbitMQServer, there: dict[str, Any] | None, kind: str, known_as: str | None
) -> None:
    with Connection(rabbitmq.url) as connection:
        channel = connection.channel()
        if there is not None:
            made_as(there).bind(channel).queue_declare()
        try:
            queue = declared_queue("kept", kind)
            queue.bind(channel).queue_declare()
            if kind == "classic":
                assert queue.queue_arguments.get("x-queue-type") == known_as
            if there is None:
                there = QUORUM if kind == "quorum" else {}
            made_as(there).bind(channel).queue_declare()  # refused, were it another
        finally:
            connection.channel().queue_delete("kept")


def made_as(arguments: dict[str, Any]) -> Queue:
    return Queue("kept", Exchange(""), durable=True, queue_arguments=arguments)
