"""What keeps the jobs of queues that Celery's workers run from running: brokers, workers and settings."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from postlude.cli.doctor import Finding
from postlude.cli.text import counted
from postlude.messages.quoting import cut, listed
from postlude.stores.protocol import Kind, LivingRunner, Looking

NOT_TAKEN: Final = timedelta(minutes=1)
"""A message that has lain for so long, beside a free place for it, is told of."""

VISIBLE_FOR: Final = 3600.0
"""Seconds after which Celery hands out again by Redis what is not acknowledged, unless told otherwise."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def findings_of_brokers(journal: Looking, queues: Mapping[str, Any], now: datetime) -> Iterator[Finding]:
    """Yield what was found.

    Args:
        journal: the application's.
        queues: the engine of each queue that the application has described.
        now: the time.

    Raises:
        JournalUnavailable: the journal cannot be read now.
    """
    try:
        from postlude.engines.celery import CeleryEngine
    except ImportError:  # then no queue has it
        return
    theirs = {name: engine for name, engine in queues.items() if isinstance(engine, CeleryEngine)}
    living = [one for one in journal.living().wait() if one.kind == Kind.ENGINE]
    out = {one.queue: one for one in journal.published().wait() if one.queue in theirs}
    for app, names in _by_application(theirs):
        yield from _of_broker(app, names, living)
        if any(engine.handed_in for engine in theirs.values() if engine.app is app):
            yield from _of_settings(app)
    for name, one in out.items():
        free = sum(max(0, (of.slots or 0) - of.holds) for of in _serving(living, name))
        age = now - _EPOCH - timedelta(microseconds=one.since)
        if free and age > NOT_TAKEN:
            yield Finding(
                "not-taken",
                f"{counted(one.jobs)} of queue {cut(name)} with the broker, one for {_minutes(age)} min, "
                f"and no worker takes it although {free} of their places are free",
                "postlude processes shows who is deaf; start those workers afresh",
            )


def _by_application(engines: Mapping[str, Any]) -> Iterator[tuple[Any, list[str]]]:
    apps = {id(engine.app): engine.app for engine in engines.values()}
    for app in apps.values():
        yield app, sorted(name for name, engine in engines.items() if engine.app is app)


def _serving(living: Sequence[LivingRunner], queue: str) -> list[LivingRunner]:
    return [one for one in living if one.slots != 0 and queue in one.queues]


def _of_broker(app: Any, queues: Sequence[str], living: Sequence[LivingRunner]) -> Iterator[Finding]:
    from postlude.engines.celery import brokers

    try:
        found = brokers.look(app, queues)
    except ImportError as error:
        yield Finding(
            "broker-unreachable",
            f"the broker of {listed(queues)} cannot be reached: Celery finds no module {error.name}",
            "pip install 'postlude[celery]' brings what Redis and RabbitMQ need",
        )
        return
    except Exception as error:  # of any library, of its sockets, of its protocol
        yield Finding(
            "broker-unreachable",
            f"the broker of {listed(queues)} cannot be reached: {type(error).__name__}: {cut(str(error))}",
            "start it, or mend its URL; until then jobs wait in the journal",
        )
        return
    for name in queues:
        lying = found.get(name)
        if not _serving(living, name):
            yield Finding(
                "no-worker",
                f"no worker of Celery's runs the jobs of queue {cut(name)}",
                f"postlude celery worker main:postlude --queues {cut(name)}",
            )
        elif lying is not None and lying.consumers == 0:
            yield Finding(
                "no-consumer",
                f"workers of Celery's live, and none of them takes messages of queue {cut(name)}",
                "start them afresh: they are deaf, or were told not to (celery control cancel_consumer)",
            )


def _of_settings(app: Any) -> Iterator[Finding]:
    """Yield what an application of Celery's own says that loses, or runs twice."""
    from postlude.engines.celery.inbox import TASK

    conf = app.conf
    own = sorted(name for name in app.tasks if not name.startswith(("celery.", "postlude.")))
    ours = app.tasks[TASK]
    limit = ours.time_limit
    if limit:
        yield Finding(
            "time-limit-kills",
            f"a time limit of {limit:g} s for all tasks kills the process of a job that takes longer; after "
            "three it fails",
            "give tasks time limits of their own, and leave it out of task_time_limit and task_annotations",
        )
    if ours.rate_limit:
        yield Finding(
            "rate-limited",
            f"task_annotations has a rate of {ours.rate_limit} for all tasks: a worker starts no more jobs, "
            "whatever their tasks",
            "give the rate to tasks by their names; jobs have rate=Rate(...)",
        )
    if ours.acks_late:
        yield Finding(
            "acknowledged-late",
            "task_annotations has all tasks acknowledged late: a job that takes longer than RabbitMQ waits "
            "ends its worker, and Redis hands it out again",
            "set task_acks_late, or acks_late of your tasks by their names: jobs do not need it",
        )
    if conf.worker_prefetch_multiplier != 1:
        yield Finding(
            "prefetch",
            f"worker_prefetch_multiplier={conf.worker_prefetch_multiplier}: jobs wait behind long ones while "
            f"another process is free",
            "worker_prefetch_multiplier=1",
        )
    early = [name for name in own if not app.tasks[name].acks_late]
    if early:
        yield Finding(
            "acknowledged-early",
            f"{listed(early)}: acknowledged before they run, so what runs when its process dies is lost",
            "acks_late=True and reject_on_worker_lost=True, if they may run twice; or call them by add_task",
        )
    late = [name for name in own if app.tasks[name].acks_late]
    visible = _visible_for(app)
    if late and visible is not None and visible < (limit or VISIBLE_FOR):
        yield Finding(
            "visible-again",
            f"{listed(late)}: what takes longer than visibility_timeout ({visible:g} s), or waits so long "
            f"for its eta, runs again beside itself",
            "a longer visibility_timeout in broker_transport_options; or call them by add_task",
        )


def _visible_for(app: Any) -> float | None:
    """Return after how many seconds its broker hands out again what is not acknowledged; None: never."""
    if str(app.conf.broker_url or "").partition(":")[0] not in ("redis", "rediss", "sentinel"):
        return None
    return float((app.conf.broker_transport_options or {}).get("visibility_timeout", VISIBLE_FOR))


def _minutes(age: timedelta) -> int:
    return round(age.total_seconds() / 60)
