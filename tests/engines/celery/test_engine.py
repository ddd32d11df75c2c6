"""What an application says of a queue that Celery's workers run."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from celery import Celery, signals
from celery.apps.worker import Worker
from celery.exceptions import ImproperlyConfigured
from celery.signals import worker_shutdown
from celery.worker import state
from kombu.entity import Queue
from typer.testing import CliRunner

from postlude import CeleryEngine, Limit, Local, Postlude, Rate
from postlude.cli.commands import app as command
from postlude.engines.celery import worker as worker_module
from postlude.engines.celery.board import Board
from postlude.engines.celery.child import Child
from postlude.engines.celery.inbox import TASK, Inbox
from postlude.engines.celery.publisher import Publisher
from postlude.engines.protocol import Carrier, Engine
from postlude.engines.routing import Routing
from postlude.model.queues import NONE, only
from postlude.model.refusal import Refused
from postlude.model.role import SERVER, Role

URL = "amqp://user:secret@localhost//"
EITHER = (
    'CeleryEngine: give the broker\'s URL, "amqp://localhost//" or "redis://localhost", or an application of '
    "Celery's, app=celery_app"
)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, EITHER),
        ({"broker_url": URL, "app": Celery("x", set_as_current=False)}, EITHER),
        ({"broker_url": URL, "limit": 4}, "CeleryEngine(limit=4): give Limit(...)"),
        (
            {"broker_url": URL, "rate": Limit(4)},
            "CeleryEngine(rate=Limit(concurrent=4, per=None)): give Rate(...)",
        ),
        (
            {"broker_url": URL, "limit": Limit(4, per="tenant")},
            "CeleryEngine(limit=Limit(per='tenant')): a queue's jobs are of many tasks; "
            "give that limit to the task",
        ),
        (
            {"broker_url": URL, "queue_type": "stream"},
            'CeleryEngine(queue_type=\'stream\'): give "classic" or "quorum"',
        ),
        (
            {"app": Celery("shop", broker=URL, set_as_current=False), "queue_type": "quorum"},
            "CeleryEngine(app=..., queue_type='quorum'): the application says what its queues are, by "
            "task_queues or task_default_queue_type; leave queue_type out",
        ),
    ],
)
def test_what_cannot_be_said_of_a_queue(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as raised:
        CeleryEngine(**options)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("accepted", "fits"),
    [
        (["json"], True), (["pickle", "json"], True), (["application/json"], True), (None, True),
        (["pickle"], False), ([], False),
    ],
)  # fmt: skip
@pytest.mark.anyio
async def test_an_application_that_takes_no_json_is_refused(accepted: list[str] | None, fits: bool) -> None:
    """Its workers would throw the messages away, each time."""
    theirs = Celery("shop", broker=URL, set_as_current=False)
    engine = CeleryEngine(app=theirs)
    theirs.conf.update(accept_content=accepted, task_serializer="pickle")

    async def run(ids: Sequence[bytes]) -> list[Refused]:
        return []

    if fits:
        await engine.start(run)
        await engine.stop(0)
    else:
        with pytest.raises(ValueError, match=r'has no "json", in which ids of jobs are sent'):
            await engine.start(run)


def test_queues_are_made_as_their_application_makes_them() -> None:
    theirs = Celery("shop", broker=URL, set_as_current=False)
    theirs.conf.update(
        task_queue_max_priority=9, task_queues=[Queue("own", queue_arguments={"x-expires": 7})]
    )
    wanted: Any = Publisher(theirs, None)._wanted
    assert [wanted(name).queue_arguments for name in ("own", "missing")] == [
        {"x-expires": 7, "x-max-priority": 9}, {"x-max-priority": 9},
    ]  # fmt: skip
    none = Celery("shop", broker=URL, set_as_current=False)
    none.conf.update(task_create_missing_queues=False, task_queue_max_priority=9)
    wanted = Publisher(none, None)._wanted
    assert wanted("missing").queue_arguments == {}


@pytest.mark.parametrize(
    "pool", ["celery.concurrency.gevent:TaskPool", "celery.concurrency.eventlet:TaskPool"]
)
def test_pools_in_which_no_loop_runs_are_refused(pool: str) -> None:
    engine = CeleryEngine(URL)
    worker = Worker.__new__(Worker)
    worker.app, worker.pool_cls = engine.app, pool
    with pytest.raises(SystemExit, match="use prefork, threads or solo"):
        signals.worker_init.send(sender=worker)


def test_a_worker_that_takes_no_json_does_not_start() -> None:
    theirs = Celery("shop", broker=URL, set_as_current=False)
    engine = CeleryEngine(app=theirs)
    theirs.conf.update(accept_content=["pickle"])
    worker = Worker.__new__(Worker)
    worker.app, worker.pool_cls = engine.app, "celery.concurrency.prefork:TaskPool"
    with pytest.raises(SystemExit, match="would throw them away"):
        signals.worker_init.send(sender=worker)


@pytest.mark.parametrize(
    ("limits", "options", "of_task", "exact"),
    [
        ((None, None), {}, None, False),
        ((30.0, None), {}, None, True),
        ((None, 30.0), {}, None, True),
        ((None, None), {"autoscale": "4,1"}, None, True),
        ((None, None), {}, 30.0, True),
    ],
)
def test_calls_last_as_long_as_jobs_where_the_worker_ends_them(
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[float | None, float | None],
    options: dict[str, str],
    of_task: float | None,
    exact: bool,
) -> None:
    engine = CeleryEngine(URL)
    monkeypatch.setattr(engine.workers, "_keep", lambda: None)
    engine.app.tasks[TASK].time_limit = of_task
    worker = Worker.__new__(Worker)
    worker.app, worker.pool_cls, worker.concurrency = engine.app, "celery.concurrency.thread:TaskPool", 2
    (worker.time_limit, worker.soft_time_limit), worker.options = limits, options
    signals.worker_init.send(sender=worker)
    engine.workers._role = engine.workers._board = None  # it is no worker any more
    assert engine.inbox.exact is exact


@pytest.mark.parametrize(("pool", "slots"), [("solo", 1), ("prefork", 1), ("thread", 4)])
def test_a_process_has_as_many_slots_as_it_has_calls(
    monkeypatch: pytest.MonkeyPatch, pool: str, slots: int
) -> None:
    engine = CeleryEngine(URL)
    monkeypatch.setattr(engine.workers, "_keep", lambda: None)
    worker = Worker.__new__(Worker)
    worker.app, worker.pool_cls, worker.concurrency = engine.app, f"celery.concurrency.{pool}:TaskPool", 4
    worker.time_limit, worker.soft_time_limit, worker.options = None, None, {}
    signals.worker_init.send(sender=worker)
    role, engine.workers._role, engine.workers._board = engine.workers._role, None, None
    assert role is not None
    assert role.concurrency == slots


def test_a_cold_end_is_heard_while_a_warm_one_waits_for_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = CeleryEngine(URL)
    waited: list[bool] = []

    def idle(*, in_vain: Callable[[], bool]) -> None:
        waited.append(in_vain())
        monkeypatch.setattr(state, "should_terminate", True)
        waited.append(in_vain())

    monkeypatch.setattr(engine.inbox, "idle", idle)
    monkeypatch.setattr(state, "should_terminate", None)
    ended: list[float] = []
    for _ in range(2):  # the second time it is cold from the beginning
        monkeypatch.setattr(engine.workers, "_child", SimpleNamespace(stop=ended.append))
        engine.workers._ends()
    assert waited == [False, True]
    assert len(ended) == 2


def test_its_processes_hear_that_a_warm_end_is_a_cold_one_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers, board = CeleryEngine(URL).workers, Board()
    for name, value in (("_board", board), ("_prefork", True), ("_own", os.getpid())):
        monkeypatch.setattr(workers, name, value)
    monkeypatch.setattr(worker_module, "LOOK_EVERY", 0.001)
    monkeypatch.setattr(state, "should_terminate", None)
    workers._told_to_end()
    (watcher,) = [one for one in threading.enumerate() if one.name == "postlude-cold"]
    assert not workers._is_in_vain()
    monkeypatch.setattr(state, "should_terminate", True)
    watcher.join(9)
    monkeypatch.setattr(state, "should_terminate", None)  # as it is in the processes that were forked before
    assert workers._is_in_vain()


def test_a_cold_end_is_looked_for_before_celery_is_told_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    workers, heard = CeleryEngine(URL).workers, list[str]()
    monkeypatch.setattr(workers, "_prefork", True)
    monkeypatch.setattr(workers, "_told_to_end", lambda: heard.append("ours"))
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGQUIT)}
    try:
        for number in before:
            signal.signal(number, lambda *_: heard.append("celery's"))
        workers.signals_set(None)
        for number in before:
            signal.raise_signal(number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert heard == 2 * ["ours", "celery's"]


def test_its_own_application_has_the_queues_and_the_task() -> None:
    engine = CeleryEngine(URL, queue_type="quorum")
    postlude = Postlude(store="memory", queues={"reports": engine, "mail": engine, "default": Local()})
    assert sorted(queue.name for queue in engine.app.conf.task_queues) == ["mail", "reports"]
    assert {queue.queue_arguments["x-queue-type"] for queue in engine.app.conf.task_queues} == {"quorum"}
    task = engine.app.tasks[TASK]
    assert (task.acks_late, task.ignore_result, engine.app.conf.worker_prefetch_multiplier) == (
        False,
        True,
        1,
    )
    assert isinstance(engine, Carrier)
    assert "secret" not in repr(engine)
    assert postlude.components.routing.publishers == {}


def test_an_application_that_is_handed_in_keeps_its_settings() -> None:
    theirs = Celery("shop", broker=URL, set_as_current=False)
    theirs.conf.worker_prefetch_multiplier = 7
    engine = CeleryEngine(app=theirs)
    another = CeleryEngine(app=theirs, limit=Limit(2), rate=Rate(3))
    Postlude(store="memory", queues={"reports": engine, "mail": another})
    assert engine.app is theirs
    assert (theirs.conf.task_queues, theirs.conf.worker_prefetch_multiplier) == (None, 7)
    assert engine.inbox is another.inbox
    assert TASK in theirs.tasks


def test_a_process_of_its_worker_claims_nothing_by_itself() -> None:
    queues: dict[str, Engine] = {"reports": CeleryEngine(URL), "default": Local()}
    assert Routing(queues, Role(True, only({"reports"}), 1, told=True)).here == NONE
    routing = Routing(queues, SERVER)
    assert ("reports" in routing.here, "default" in routing.here) == (False, True)
    assert set(routing.carriers) == {"reports"}
    assert routing.promises == {"reports": 0.0}


def test_before_the_application_has_started_the_broker_is_given_nothing() -> None:
    engine = CeleryEngine(URL)
    engine.publish("reports", [bytes(16)])
    assert asyncio.run(engine.reach("reports")) == "the application has not started"
    assert asyncio.run(engine.send("reports", [bytes(16)])) == [bytes(16)]


@pytest.mark.process
def test_celery_is_not_imported_where_it_is_not_asked_for() -> None:
    code = "import sys, postlude, postlude.cli.commands; print('celery' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("--pool gevent", "--pool 'gevent': give prefork, threads, solo"),
        (
            "--queues reports,nothing",
            "--queues nothing: that is no queue of CeleryEngine; there are: mail, reports",
        ),
        ("", "mail, reports have brokers of their own: start a worker for each, with --queues"),
    ],
)
def test_what_cannot_be_typed(typed: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postlude.cli.celery.checked", lambda postlude: postlude)
    done = CliRunner().invoke(command, ["celery", "worker", f"{__name__}:two_brokers", *typed.split()])
    assert (done.exit_code, done.stderr) == (2, f"postlude: {message}\n")


def test_an_application_without_such_a_queue_has_no_worker_of_celery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postlude.cli.celery.checked", lambda postlude: postlude)
    done = CliRunner().invoke(command, ["celery", "worker", f"{__name__}:local"])
    assert done.stderr == (
        'postlude: no queue of it is run by CeleryEngine: Postlude(queues={"reports": CeleryEngine(...)})\n'
    )


two_brokers = Postlude(store="memory", queues={"reports": CeleryEngine(URL), "mail": CeleryEngine(URL)})
local = Postlude(store="memory")


@pytest.mark.parametrize(
    ("code", "ran", "paused", "pause"),
    [
        (1, 0.0, "", 1.0),
        (1, 0.0, "8", 16.0),
        (1, 0.0, "30", 30.0),
        (1, 99.0, "8", 1.0),
        (0, 0.0, "", None),
        (None, 0.0, "", None),
    ],
)
def test_a_worker_that_breaks_off_is_started_afresh(
    code: int | None, ran: float, paused: str, pause: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0.0, ran])
    done: list[Any] = []
    monkeypatch.setattr("postlude.cli.celery.checked", lambda postlude: postlude)
    monkeypatch.setattr("postlude.cli.celery.monotonic", lambda: next(times))
    monkeypatch.setattr("postlude.cli.celery.time.sleep", done.append)
    monkeypatch.setattr("postlude.cli.celery.os.execv", lambda program, words: done.append(words[1:]))
    monkeypatch.setattr("postlude.cli.celery.sys.orig_argv", ["python", "-m", "it"])

    def worker_main(self: Celery, argv: list[str]) -> None:
        if paused == "8":
            raise AttributeError("'NoneType' object has no attribute 'hostname'")
        worker_shutdown.send(sender=Mock(exitcode=code))

    monkeypatch.setattr(Celery, "worker_main", worker_main)
    monkeypatch.setenv("POSTLUDE_CELERY_PAUSED", paused or "0")
    monkeypatch.setenv("REMAP_SIGTERM", "SIGQUIT")
    words = ["celery", "worker", f"{__name__}:two_brokers", "--queues", "mail"]
    assert CliRunner().invoke(command, words).exit_code == (code or 0)
    assert done == ([] if pause is None else [pause, ["-m", "it"]])


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("told", [True, False])
def test_a_worker_that_is_told_to_end_does_not_begin_anew(
    told: bool, raises: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery 5.7 raises, where the signal comes before it takes messages; and it takes for an error that its
    processes, which Ctrl-C at a terminal tells too, have gone."""
    afresh: list[float] = []

    def worker_main(self: Celery, argv: list[str]) -> None:
        if told:
            signals.worker_shutting_down.send(sender="w@host", sig="SIGQUIT", how="Cold", exitcode=0)
        if raises:
            raise AttributeError("'NoneType' object has no attribute 'did_start_ok'")
        worker_shutdown.send(sender=Mock(exitcode=1))

    monkeypatch.setattr("postlude.cli.celery.checked", lambda postlude: postlude)
    monkeypatch.setattr("postlude.cli.celery.start_afresh", afresh.append)
    monkeypatch.setattr(Celery, "worker_main", worker_main)
    monkeypatch.setenv("REMAP_SIGTERM", "SIGQUIT")
    words = ["celery", "worker", f"{__name__}:two_brokers", "--queues", "reports"]
    assert CliRunner().invoke(command, words).exit_code == (0 if told else 1)
    assert bool(afresh) is not told


def test_settings_that_celery_refuses_are_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command would meet them again."""

    def worker_main(self: Celery, argv: list[str]) -> None:
        raise ImproperlyConfigured("Trying to select\nqueue 'jobs'")

    monkeypatch.setattr("postlude.cli.celery.checked", lambda postlude: postlude)
    monkeypatch.setattr(Celery, "worker_main", worker_main)
    monkeypatch.setenv("REMAP_SIGTERM", "SIGQUIT")
    done = CliRunner().invoke(command, ["celery", "worker", f"{__name__}:two_brokers", "--queues", "mail"])
    assert done.exit_code == 2
    assert done.stderr == "postlude: Celery's settings: Trying to select queue 'jobs'\n"


def test_a_process_without_the_application_ends_whatever_else_goes_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would take messages, and run nothing."""
    codes: list[int] = []

    def refuse(seconds: float) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr("postlude.engines.celery.child.os._exit", codes.append)
    monkeypatch.setattr("postlude.engines.celery.child.time.sleep", refuse)
    role = Role(worker=True, queues=only({"mail"}), concurrency=1, grace=0.0, told=True)
    with pytest.raises(OSError, match="Invalid"):
        Child([], role, Inbox(), None)._main()
    assert codes == [3]
