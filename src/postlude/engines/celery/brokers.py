"""Looking at a broker, beside what is published and consumed."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from celery import Celery

WITHIN: Final = 5.0
"""Seconds within which the broker has to answer."""


class Lying(NamedTuple):
    """What a broker has of one queue."""

    messages: int
    """How many wait there for a worker."""
    consumers: int | None
    """How many workers take them; None: this broker does not say."""


def look(app: Celery, queues: Sequence[str]) -> dict[str, Lying]:
    """Return what the broker has of queues; those are left out that it does not have.

    Raises:
        Exception: it cannot be asked; of any library, of its sockets, of its protocol.
    """
    connection = app.connection_for_read(connect_timeout=WITHIN)
    driver = connection.transport.driver_type
    if driver == "redis":
        options = {"socket_timeout": WITHIN, "socket_connect_timeout": WITHIN}
        connection.transport_options = {**options, **connection.transport_options}
    found: dict[str, Lying] = {}
    try:
        connection.connect()
        for queue in queues:
            channel = connection.channel()
            try:
                told: Any = channel.queue_declare(queue=queue, passive=True)
            except connection.channel_errors as error:
                if str(getattr(error, "reply_code", "")) != "404":
                    raise
                continue
            finally:
                with suppress(Exception):
                    channel.close()
            found[queue] = Lying(told.message_count, told.consumer_count if driver == "amqp" else None)
    finally:
        with suppress(Exception):
            connection.collect(socket_timeout=1)
    return found
