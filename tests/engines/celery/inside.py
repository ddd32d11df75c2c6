"""An engine whose worker is one of Celery's, in threads of this process."""

import asyncio
import logging
import threading
from contextlib import ExitStack, suppress
from typing import Any
from uuid import UUID

from celery.contrib.testing.worker import start_worker

from postlude.engines.celery import CeleryEngine
from postlude.engines.celery.inbox import TASK
from postlude.engines.protocol import Run


class Inside(CeleryEngine):
    """Celery's own worker and a real broker; only its processes are this one."""

    def __init__(self, *arguments: Any, threads: int = 4, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._threads = threads
        self._workers_here = ExitStack()
        self._level = logging.root.level

    async def start(self, run: Run) -> None:
        await super().start(run)
        await asyncio.to_thread(self.work)

    def work(self) -> None:
        """Start the worker."""
        worker = start_worker(
            self.app, pool="threads", concurrency=self._threads, perform_ping_check=False, loglevel="ERROR",
            queues=self._queues,
            shutdown_timeout=30,
        )  # fmt: skip
        self._workers_here.enter_context(worker)

    async def stop(self, grace: float) -> None:
        await super().stop(grace)
        await asyncio.to_thread(self.end)

    def end(self) -> None:
        """Stop the worker, if there is one; Celery has set the level of all logging."""
        waker = threading.Timer(0.1, self._wake)
        waker.start()
        self._workers_here.close()
        waker.cancel()
        logging.root.setLevel(self._level)

    def _wake(self) -> None:
        """Let a worker see that it is to stop: with RabbitMQ it looks when a message comes."""
        with suppress(Exception):  # no broker: then it sees that
            for queue in self._queues:
                self.app.send_task(TASK, [str(UUID(int=0))], queue=queue)
