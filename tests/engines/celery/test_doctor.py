"""What `postlude doctor` finds of queues that Celery's workers run."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from typer.testing import CliRunner

from postlude import CeleryEngine, Local, Postlude
from postlude.cli.commands import app as command
from postlude.cli.doctor_celery import findings_of_brokers
from postlude.clock import ManualClock
from postlude.engines.celery import brokers
from postlude.engines.celery.brokers import Lying, look
from postlude.model.ids import IdSource
from postlude.model.job import NewJob
from postlude.model.queues import only
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Kind, NewRunner
from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer

URL = "redis://localhost"
QUEUE = "reports"


class Site:
    """A journal and what a broker is said to have."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.lying: dict[str, Lying] | Exception = {QUEUE: Lying(0, 1)}
        monkeypatch.setattr(brokers, "look", self._look)

    def _look(self, app: Any, queues: Any) -> dict[str, Lying]:
        if isinstance(self.lying, Exception):
            raise self.lying
        return self.lying

    def worker(self, slots: int = 1) -> int:
        return self.store.enlist(NewRunner("r", 1e9, Kind.ENGINE, only({QUEUE}), slots)).result().runner

    def codes(self, engine: CeleryEngine | None = None) -> list[str]:
        queues = {QUEUE: engine or CeleryEngine(URL), "default": Local()}
        now = datetime.fromtimestamp(self.clock.now() / 1e6, UTC)
        found = list(findings_of_brokers(self.store, queues, now))
        assert all(one.says and one.remedy for one in found)
        return [one.code for one in found]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(monkeypatch)


def test_all_is_well(site: Site) -> None:
    site.worker()
    assert site.codes() == []
    assert list(findings_of_brokers(site.store, {"default": Local()}, datetime.now(UTC))) == []


def test_a_broker_that_is_away(site: Site) -> None:
    site.worker()
    site.lying = ConnectionRefusedError("nobody there")
    assert site.codes() == ["broker-unreachable"]


def test_a_module_that_is_missing_is_no_outage(site: Site) -> None:
    site.worker()
    site.lying = ModuleNotFoundError("No module named 'packaging'", name="packaging")
    (found,) = findings_of_brokers(site.store, {QUEUE: CeleryEngine(URL)}, datetime.now(UTC))
    assert found.code == "broker-unreachable"
    assert found.says.endswith("Celery finds no module packaging")
    assert found.remedy.startswith("pip install 'postlude[celery]'")


def test_nobody_takes_its_messages(site: Site) -> None:
    assert site.codes() == ["no-worker"]
    site.worker(slots=0)
    assert site.codes() == ["no-worker"], "a parent runs nothing itself"
    site.worker()
    assert site.codes() == []
    site.lying = {QUEUE: Lying(3, 0)}
    assert site.codes() == ["no-consumer"]
    site.lying = {QUEUE: Lying(3, None)}
    assert site.codes() == [], "Redis does not say"


def test_what_was_published_long_ago(site: Site) -> None:
    worker = site.worker()
    job = NewJob(IdSource().new(0), "t", QUEUE, b'{"a":[],"k":{}}', site.clock.now())
    site.store.add([job]).result()
    site.store.publish(QUEUE, 9, patience=60).result()
    assert site.codes() == []
    site.clock.advance(61)
    assert site.codes() == ["not-taken"]
    other = NewJob(IdSource().new(0), "t", "other", b'{"a":[],"k":{}}', site.clock.now())
    site.store.add([other]).result()
    assert site.store.claim(worker, 1, suspect=True, ids=[other.id]).result().claims
    assert site.codes() == [], "it may wait for the place that is taken"


def _theirs(**settings: Any) -> CeleryEngine:
    app = Celery("shop", broker=URL, set_as_current=False)
    app.conf.update(worker_prefetch_multiplier=1, **settings)
    return CeleryEngine(app=app)


def _tasks(engine: CeleryEngine, *, late: bool) -> CeleryEngine:
    @engine.app.task(name="shop.send", acks_late=late, shared=False)
    def send() -> None: ...

    return engine


@pytest.mark.parametrize(
    ("engine", "codes"),
    [
        (_theirs, []),
        (lambda: CeleryEngine(app=Celery("shop", broker=URL, set_as_current=False)), ["prefetch"]),
        (lambda: _theirs(task_time_limit=30), ["time-limit-kills"]),
        (lambda: _theirs(task_annotations={"*": {"time_limit": 30}}), ["time-limit-kills"]),
        (lambda: _theirs(task_default_rate_limit="1/s", task_acks_late=True), []),
        (lambda: _theirs(task_annotations={"*": {"rate_limit": "1/s"}}), ["rate-limited"]),
        (lambda: _theirs(task_annotations={"*": {"acks_late": True}}), ["acknowledged-late"]),
        (lambda: _tasks(_theirs(), late=False), ["acknowledged-early"]),
        (lambda: _tasks(CeleryEngine(URL), late=False), []),
        (lambda: _tasks(_theirs(), late=True), []),
        (
            lambda: _tasks(_theirs(broker_transport_options={"visibility_timeout": 60}), late=True),
            ["visible-again"],
        ),
        (
            lambda: _tasks(
                _theirs(broker_transport_options={"visibility_timeout": 60}, task_time_limit=30), late=True
            ),
            ["time-limit-kills"],
        ),
    ],
)
def test_settings_that_lose(site: Site, engine: Callable[[], CeleryEngine], codes: list[str]) -> None:
    site.worker()
    assert site.codes(engine()) == codes


@pytest.mark.slow
@pytest.mark.process
def test_what_brokers_say(redis: RedisServer, rabbitmq: RabbitMQServer) -> None:
    for url, consumers in ((redis.url, None), (rabbitmq.url, 0)):
        engine = CeleryEngine(url)
        Postlude(store="memory", queues={"looked-at": engine})
        assert look(engine.app, ["looked-at", "none"]) == {}
        for _ in range(3):
            engine.app.send_task("postlude.run", ["x"], queue="looked-at")
        until = time.monotonic() + 10
        while (found := look(engine.app, ["none", "looked-at"])) != {"looked-at": Lying(3, consumers)}:
            assert time.monotonic() < until, found
            time.sleep(0.05)
    with pytest.raises(Exception, match="refused"):
        look(CeleryEngine("redis://127.0.0.1:1").app, ["none"])


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POSTLUDE_STORE", raising=False)
    postlude = Postlude(store=f"sqlite:///{tmp_path}/postlude.db")
    postlude.components.ensure_open()
    yield tmp_path
    postlude.components.store.close()


@pytest.mark.disk
def test_an_application_is_looked_at_too(journal: Path) -> None:
    done = CliRunner().invoke(command, ["doctor", f"{__name__}:shop"])
    assert done.exit_code == 1, done.output
    assert done.stdout.startswith("broker-unreachable: the broker of reports cannot be reached: ")
    assert CliRunner().invoke(command, ["doctor"]).stdout == "Nothing was found.\n"
    assert CliRunner().invoke(command, ["doctor", "no.such:app"]).exit_code == 2


shop = Postlude(store="memory", queues={QUEUE: CeleryEngine("redis://127.0.0.1:1")})
