"""What an application of Celery's, or a worker of its, must be like for jobs to run."""

from typing import Any, Final

from celery import Celery
from kombu.serialization import prepare_accept_content

from postlude.engines.celery.inbox import TASK
from postlude.messages.quoting import quoted

JSON: Final = "application/json"

LOOPLESS: Final = ("gevent", "eventlet")
"""Pools that patch what an event loop waits with."""


def refuse_unfit(app: Celery) -> None:
    """Make sure that workers of an application of Celery's can take messages of ours.

    Raises:
        ValueError: they cannot.
    """
    accepted = prepare_accept_content(app.conf.accept_content)
    if accepted is not None and JSON not in accepted:
        raise ValueError(
            f"CeleryEngine(app={quoted(app.main)}): its accept_content "
            f'{quoted(sorted(app.conf.accept_content))} has no "json", in which ids of jobs are sent: its '
            'workers would throw them away. Add "json" to it'
        )


def refuse_pool(pool: str) -> None:
    """Make sure that jobs run in a pool of Celery's.

    Args:
        pool: its class, as `celery.concurrency.gevent:TaskPool`.

    Raises:
        ValueError: they do not.
    """
    name = pool.partition(":")[0].rpartition(".")[2]
    if name in LOOPLESS:
        raise ValueError(
            f"--pool {name}: jobs of Postlude do not run in it: it keeps their event loop from running; use "
            "prefork, threads or solo, and a worker of its own for tasks that need it (-Q)"
        )


def counts_calls(worker: Any) -> bool:
    """Return whether a worker ends calls, or processes without one: whoever starts it so means the jobs."""
    limits = worker.time_limit, worker.soft_time_limit
    task = worker.app.tasks[TASK]
    return any((*limits, task.time_limit, task.soft_time_limit, worker.options.get("autoscale")))


def pool_of(worker: Any) -> str:
    """Return the name of the pool of a worker."""
    pool = worker.pool_cls
    return pool if isinstance(pool, str) else f"{pool.__module__}:{pool.__qualname__}"
