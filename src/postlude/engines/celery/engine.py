"""`CeleryEngine`: what an application says of a queue that Celery's workers run."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal

from celery import Celery

from postlude.engines.celery.fitting import refuse_unfit
from postlude.engines.celery.inbox import Inbox, inbox_of
from postlude.engines.celery.publisher import NO_TRACES, Publisher, declared_queue
from postlude.engines.celery.worker import Workers
from postlude.engines.protocol import Oversee, Run, Serve
from postlude.messages.quoting import quoted
from postlude.model.limits import Limit, Rate

SEND_WITHIN: Final = 10.0
"""Seconds within which the end of an application waits for the broker at most."""


class CeleryEngine:
    """Runs a queue in the processes of Celery's workers, on this machine or on others.

    The journal decides what runs; the broker carries ids. So a message that is lost is sent again, and one
    that comes twice is refused. The workers are started with `postlude celery worker main:postlude`, or with
    `celery -A main:celery_app worker` where `celery_app` is the engine's `app`.

    Args:
        broker_url: of the broker: `"amqp://localhost//"`, `"redis://localhost"`. For an application of
            Celery's of its own.
        app: an application of Celery's that is there already, in place of `broker_url`: its broker, routing
            and settings stay as they are. Jobs get one task of it, `postlude.run`.
        limit: how many of the queue's jobs run at once, over all processes.
        rate: how many of its jobs start in a time, over all processes.
        queue_type: what a queue of RabbitMQ is made as that is not there yet; one that is stays as it is. Of
            an `app`, its own settings say that (`task_queues`, `task_default_queue_type`).

    Attributes:
        app: the application of Celery's.
        handed_in: whether it was there before, with settings of its own.
        limit: as given.
        rate: as given.

    Raises:
        ValueError: neither or both of `broker_url` and `app` are given, or an option is not what it may be.
    """

    here = False
    concurrency: int | None = None

    def __init__(
        self,
        broker_url: str | None = None,
        *,
        app: Celery | None = None,
        limit: Limit | None = None,
        rate: Rate | None = None,
        queue_type: Literal["classic", "quorum"] = "classic",
    ) -> None:
        if (broker_url is None) == (app is None):
            raise ValueError(
                'CeleryEngine: give the broker\'s URL, "amqp://localhost//" or "redis://localhost", '
                "or an application of Celery's, app=celery_app"
            )
        if limit is not None and not isinstance(limit, Limit):
            raise ValueError(f"CeleryEngine(limit={quoted(limit)}): give Limit(...)")
        if limit is not None and limit.per is not None:
            raise ValueError(
                f"CeleryEngine(limit=Limit(per={quoted(limit.per)})): a queue's jobs are of many tasks; "
                "give that limit to the task"
            )
        if rate is not None and not isinstance(rate, Rate):
            raise ValueError(f"CeleryEngine(rate={quoted(rate)}): give Rate(...)")
        if queue_type not in ("classic", "quorum"):
            raise ValueError(f'CeleryEngine(queue_type={quoted(queue_type)}): give "classic" or "quorum"')
        if app is not None and queue_type != "classic":
            raise ValueError(
                f"CeleryEngine(app=..., queue_type={quoted(queue_type)}): the application says what its "
                "queues are, by task_queues or task_default_queue_type; leave queue_type out"
            )
        self.limit = limit
        self.rate = rate
        self.promise: float | None = 0.0
        self.handed_in = app is not None
        self.app: Celery = _own_application(broker_url) if app is None else app
        self._queue_type = queue_type
        self._queues: list[str] = []
        self.inbox: Inbox = inbox_of(self.app)
        self._publisher = Publisher(self.app, None if self.handed_in else queue_type)
        self._thread: ThreadPoolExecutor | None = None
        self.workers: Workers = Workers.of(self.app)

    def __repr__(self) -> str:
        return f"CeleryEngine({self.app.main or 'app'!r})"  # without the broker's URL, which has a password

    # -- what an application says of it -------------------------------------------------------

    def joined(self, queues: Sequence[str], serve: Serve, oversee: Oversee) -> None:
        """An application has it for these queues."""
        self._queues = list(queues)
        if not self.handed_in:
            known = {queue.name: queue for queue in self.app.conf.task_queues or ()}
            made = {name: declared_queue(name, self._queue_type) for name in queues}
            self.app.conf.task_queues = tuple((known | made).values())
        self.workers.serve(queues, serve, oversee)

    # -- the broker ---------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """Changes when what the broker has been given may be gone."""
        return self._publisher.epoch

    async def reach(self, queue: str) -> str | None:
        """Make sure that the broker can be given messages for a queue; returns why it cannot now."""
        if self._thread is None:
            return "the application has not started"
        return await asyncio.wrap_future(self._thread.submit(self._publisher.reach, queue))

    async def send(
        self, queue: str, ids: Sequence[bytes], traces: Mapping[bytes, Mapping[str, str]] = NO_TRACES
    ) -> Sequence[bytes]:
        """Give the broker a message of each job; returns those that it has not confirmed."""
        if self._thread is None:
            return ids
        return await asyncio.wrap_future(self._thread.submit(self._publisher.send, queue, ids, traces))

    def publish(self, queue: str, ids: Sequence[bytes]) -> None:
        """Give the broker a message of each of these, whatever the journal says of them."""
        if self._thread is not None:
            self._thread.submit(self._publisher.send, queue, ids)

    # -- its life -----------------------------------------------------------------------------

    async def start(self, run: Run) -> None:
        """The application's lifespan begins.

        Raises:
            ValueError: what the application of Celery's is set to lets no job run.
        """
        refuse_unfit(self.app)
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="postlude-publisher")
        conf = self.app.conf  # whoever limits the time of a call means the job's
        exact = bool(conf.task_time_limit or conf.task_soft_time_limit)
        self.inbox.open(run, asyncio.get_running_loop(), exact=exact)

    async def stop(self, grace: float) -> None:
        """The lifespan ends: no job begins; what runs here is waited for."""
        thread, self._thread = self._thread, None
        await self.inbox.close(grace)
        if thread is not None:
            closed = asyncio.wrap_future(thread.submit(self._publisher.close))
            thread.shutdown(wait=False)
            await asyncio.wait([closed], timeout=SEND_WITHIN)

    def abandon(self) -> None:
        """The lifespan has ended without its shutdown."""
        thread, self._thread = self._thread, None
        self.inbox.shut()
        if thread is not None:
            thread.submit(self._publisher.close)
            thread.shutdown(wait=False)


def _own_application(broker_url: str | None) -> Celery:
    app = Celery("postlude", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        task_acks_late=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # after 100, which is an hour, a worker would end
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        task_default_delivery_mode=2,
    )
    return app
