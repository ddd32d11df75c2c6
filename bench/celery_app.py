"""What the workers of `bench.celery` run: one of three tasks that do nothing but note the time."""

import mmap
import os
import struct
import threading
import time
from typing import Any, Final, Literal
from uuid import UUID

from celery import Celery

from postlude import CeleryEngine, Config, Postlude

Kind = Literal["bare", "floor", "postlude"]
KINDS: Final[tuple[Kind, ...]] = ("bare", "floor", "postlude")
QUEUE: Final = "bench"

_local = threading.local()
_seen: dict[int, mmap.mmap] = {}


def note(number: int) -> None:
    """Note that a job runs now."""
    seen = _seen.get(os.getpid())
    if seen is None:
        with open(os.environ["BENCH_TIMES"], "r+b") as file:
            seen = _seen[os.getpid()] = mmap.mmap(file.fileno(), 0)
    seen[8 * number : 8 * number + 8] = struct.pack("d", time.monotonic())


def journal_of(url: str, engine: Any = None, app: Any = None) -> tuple[Postlude, Any]:
    """Return an application with a journal, and its task."""
    queues = None if engine is None else {QUEUE: engine}
    postlude = Postlude(app, store=url, queues=queues, config=Config(tune_gc=False))
    return postlude, postlude.task(note, name="nothing", queue=QUEUE)


def _connection() -> Any:
    import psycopg

    if getattr(_local, "pid", None) != os.getpid():
        _local.pid = os.getpid()
        _local.db = psycopg.connect(os.environ["BENCH_DATABASE"], autocommit=True, prepare_threshold=0)
    return _local.db


CLAIM: Final = (
    "UPDATE postlude.job SET state = 3, fence = fence + 1, runner = 1 "
    "WHERE id = %s AND state = 0 RETURNING seq, fence"
)
FINISH: Final = (
    "UPDATE postlude.job SET state = 8, started = %s, finished = %s "
    "WHERE seq = %s AND fence = %s AND state = 3"
)


def _made() -> Celery:
    url = os.environ["BENCH_BROKER"]
    if os.environ["BENCH_KIND"] == "postlude":
        engine = CeleryEngine(url)
        journal_of(os.environ["BENCH_DATABASE"], engine)
        made: Celery = engine.app
        return made
    app = Celery("bench", broker=url)
    app.conf.update(worker_prefetch_multiplier=1, task_ignore_result=True, task_acks_late=False)

    @app.task(name="bare")
    def bare(number: int, name: str) -> None:
        note(number)

    @app.task(name="floor")
    def floor(number: int, name: str) -> None:
        db = _connection()
        seq, fence = db.execute(CLAIM, [UUID(name).bytes]).fetchone()
        now = time.time_ns() // 1000
        note(number)
        db.execute(FINISH, [now, now, seq, fence])

    return app


if "BENCH_KIND" in os.environ:
    celery_app = _made()
