"""Giving a broker messages: on one connection, by one thread."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from amqp import Channel as AmqpChannel
from amqp import NotFound, PreconditionFailed
from celery import Celery
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.messaging import Producer

from postlude.engines.celery.inbox import TASK

WITHIN: Final = 5.0
"""Seconds within which the broker has to answer."""

PROBE_EVERY: Final = 1.0
"""Seconds between looks whether the broker, and a queue of it, are there."""

GROUP: Final = 200
"""Messages that are on their way to be confirmed at once."""

Traces = Mapping[bytes, Mapping[str, str]]
"""By the id of a job, the texts of the trace that it was added in."""

NO_TRACES: Final[Traces] = MappingProxyType({})
_NO_TEXTS: Final[Mapping[str, str]] = MappingProxyType({})


TYPE: Final = "x-queue-type"

MOST_ARGUMENTS: Final = 20
"""Of a queue, that are asked for."""

DIFFERS: Final = re.compile(
    r"inequivalent arg '(?P<name>[^']+)'.*current is the value '(?P<value>[^']*)' of type '(?P<type>\w+)'"
)
"""How RabbitMQ says that an argument differs."""


class KeptQueue(Queue):
    """A queue of RabbitMQ's that stays as it is where there is one, with whatever arguments it was made.

    Declared with others, RabbitMQ refuses it, and Celery's worker would end.
    """

    queue_arguments: dict[str, Any]

    def queue_declare(self, nowait: bool = False, passive: bool = False, channel: Any = None) -> Any:
        if not passive and isinstance(self.channel, AmqpChannel):
            connection = self.channel.connection
            with suppress(NotFound), connection.channel() as probe:
                found = super().queue_declare(nowait=False, passive=True, channel=probe)
                if TYPE not in self.queue_arguments and self._type_there(connection) == "quorum":
                    # By these Celery tells how to consume it. It has done so already: it begins once more.
                    self.queue_arguments[TYPE] = "quorum"
                return found
        return super().queue_declare(nowait=nowait, passive=passive, channel=channel)

    def _type_there(self, connection: Any) -> str | None:
        """Ask with which type it was made: each refusal names one argument that differs."""
        known: dict[str, Any] = {}
        for _ in range(MOST_ARGUMENTS):
            try:
                with connection.channel() as probe:
                    probe.queue_declare(self.name, durable=True, auto_delete=False, arguments=known)
            except PreconditionFailed as error:
                told = DIFFERS.search(str(error))
                if told is None or told["name"] in known:
                    break
                known[told["name"]] = told["value"] if told["type"] == "longstr" else _number(told["value"])
            else:
                break
        return known.get(TYPE)


def _number(text: str) -> int | bool:
    return int(text) if text.lstrip("-").isdecimal() else text == "true"


def declared_queue(name: str, kind: str) -> KeptQueue:
    """Return a queue as it is made where there is none: durable, reached by its own name."""
    arguments = {TYPE: "quorum"} if kind == "quorum" else {}
    return KeptQueue(name, Exchange(""), routing_key=name, durable=True, queue_arguments=arguments)


class Publisher:
    """A connection to the broker of an application of Celery's. Used by one thread.

    Args:
        app: the application.
        kind: of queues that are made; None: as the application makes them.

    Attributes:
        epoch: changes with each connection, and when a queue was missing.
    """

    def __init__(self, app: Celery, kind: str | None) -> None:
        self.epoch = 0
        self._app = app
        self._kind = kind
        self._connection: Connection | None = None
        self._channel: Any = None
        self._producer: Producer | None = None
        self._probed: dict[str, float] = {}
        self._confirms: _Confirms | None = None

    def reach(self, queue: str) -> str | None:
        """Make sure that a queue can be given messages; returns why it cannot be."""
        try:
            if self._connection is None:
                self._connect()
            if monotonic() - self._probed.get(queue, -PROBE_EVERY) >= PROBE_EVERY:
                self._probe(queue)
                self._probed[queue] = monotonic()
        except Exception as error:  # of any library, of its sockets, of its protocol
            self.close()
            return f"{type(error).__name__}: {error}"
        return None

    def send(self, queue: str, ids: Sequence[bytes], traces: Traces = NO_TRACES) -> list[bytes]:
        """Publish a message of each job; returns those that are not confirmed."""
        if self.reach(queue) is not None:
            return list(ids)
        missed: list[bytes] = []
        for first in range(0, len(ids), GROUP):
            missed += self._send(queue, ids[first : first + GROUP], traces)
        return missed

    def _send(self, queue: str, ids: Sequence[bytes], traces: Traces) -> list[bytes]:
        if self._producer is None:
            return list(ids)
        sent = 0
        try:
            for id in ids:
                self._publish(queue, id, traces.get(id, _NO_TEXTS))
                sent += 1
            if self._confirms is None:
                return []
            missed = self._confirms.wait(ids)
        except Exception:  # of any library, of its sockets, of its protocol
            missed = list(ids) if self._confirms is not None else list(ids[sent:])
        if missed:
            # A channel that has returned a message goes on to say that there is no such queue.
            self.close()
        return missed

    def _publish(self, queue: str, id: bytes, trace: Mapping[str, str]) -> None:
        assert self._producer is not None
        name = str(UUID(bytes=id))
        message = self._app.amqp.as_task_v2(
            name, TASK, (name,), {}, ignore_result=True, argsrepr="", kwargsrepr=""
        )
        if self._confirms is not None:
            self._confirms.expect(id)
        self._producer.publish(
            message.body,
            exchange="",
            routing_key=queue,
            headers={**message.headers, **trace},  # where OpenTelemetry looks for it
            serializer="json",
            delivery_mode=2,
            mandatory=True,
            timeout=WITHIN,
            retry=False,
            **message.properties,
        )

    def _connect(self) -> None:
        connection = self._app.connection_for_write(connect_timeout=WITHIN)
        # Each confirm alone would be waited for; here they are awaited together.
        connection.transport_options = {**connection.transport_options, "confirm_publish": False}
        if connection.transport.driver_type == "redis":
            options = {"socket_timeout": WITHIN, "socket_connect_timeout": WITHIN}
            connection.transport_options = {**options, **connection.transport_options}
        try:
            connection.connect()
            channel = connection.channel()
            if connection.transport.driver_type == "amqp":
                self._confirms = _Confirms(channel, connection)
            self._connection, self._channel = connection, channel
            self._producer = Producer(channel)
        except BaseException:
            connection.release()
            raise
        self._probed.clear()
        self.epoch += 1

    def _probe(self, queue: str) -> None:
        """Look whether the broker answers, and the queue is there; make it if it is not."""
        assert self._connection is not None
        if self._confirms is None:
            self._channel.client.ping()
            return
        wanted = self._wanted(queue)
        with self._connection.channel() as channel:
            try:
                wanted.bind(channel).queue_declare(passive=True)
                return
            except self._connection.channel_errors as error:
                if getattr(error, "reply_code", None) != 404:
                    raise
        with self._connection.channel() as channel:
            wanted.bind(channel).queue_declare()
        self.epoch += 1

    def _wanted(self, name: str) -> Queue:
        """Return a queue as it is made: like its workers would, or they could not declare it."""
        if self._kind is None:
            with suppress(KeyError):  # the application does not know it, and makes none
                known: Queue = self._app.amqp.queues[name]
                return known
        return declared_queue(name, self._kind or "classic")

    def close(self) -> None:
        """Let go of the connection; `reach` makes another."""
        connection, self._connection = self._connection, None
        self._channel = self._producer = self._confirms = None
        if connection is not None:
            with suppress(Exception):
                connection.collect(socket_timeout=1)


class _Confirms:
    """What RabbitMQ has said of the messages of a channel.

    Args:
        channel: has published nothing so far.
        connection: what it says comes by this.
    """

    def __init__(self, channel: Any, connection: Connection) -> None:
        channel.confirm_select()
        channel.events["basic_ack"].add(self._acked)
        channel.events["basic_nack"].add(self._nacked)
        channel.events["basic_return"].add(self._returned)
        self._connection = connection
        self._tag = 0
        self._open: dict[int, bytes] = {}
        self._bad: set[bytes] = set()

    def expect(self, id: bytes) -> None:
        """A message of this job is the next to be published."""
        self._tag += 1
        self._open[self._tag] = id

    def wait(self, ids: Sequence[bytes]) -> list[bytes]:
        """Return those of these jobs whose messages were refused, or not confirmed in time."""
        until = monotonic() + WITHIN
        while self._open and (left := until - monotonic()) > 0:
            with suppress(TimeoutError):
                self._connection.drain_events(timeout=left)
        bad, self._bad = self._bad | set(self._open.values()), set()
        self._open.clear()
        return [id for id in ids if id in bad]

    def _acked(self, tag: int, multiple: bool) -> None:
        self._settle(tag, multiple)

    def _nacked(self, tag: int, multiple: bool) -> None:
        self._bad.update(self._settle(tag, multiple))

    def _settle(self, tag: int, multiple: bool) -> list[bytes]:
        tags = [one for one in self._open if one <= tag] if multiple else [tag]
        return [id for one in tags if (id := self._open.pop(one, None)) is not None]

    def _returned(self, error: Exception, exchange: str, routing_key: str, message: Any) -> None:
        self._bad.add(UUID(message.headers["id"]).bytes)
