"""Tasks of Celery's that are called through `add_task`."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery, _state, shared_task
from celery.exceptions import Ignore
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient
from kombu.entity import Queue

from postlude import CeleryEngine, Postlude
from postlude.errors import NotDurable
from postlude.integrations.celery import adopt
from postlude.testing import Drained, PostludeJobs

app = Celery("shop", broker="memory://", set_as_current=False)
before = set(_state._on_app_finalizers)
tried: list[tuple[str, int]] = []


@app.task(name="shop.send", shared=False)  # type: ignore[untyped-decorator]
def send(number: int, *, to: str = "ada") -> str:
    return f"{number} to {to}"


@shared_task(name="shop.shared")  # type: ignore[untyped-decorator]
def shared(day: datetime) -> datetime:
    return day + timedelta(days=1)


@app.task(name="shop.again", bind=True, max_retries=2, default_retry_delay=30, shared=False)  # type: ignore[untyped-decorator]
def again(self: Any, number: int) -> int:
    tried.append((self.request.id, self.request.retries))
    if self.request.retries < number:
        raise self.retry(exc=LookupError(number))
    return number


@app.task(
    name="shop.auto", autoretry_for=(ConnectionError,), retry_backoff=False, max_retries=1, shared=False
)  # type: ignore[untyped-decorator]
def auto(error: str) -> None:
    raise ConnectionError(error) if error == "away" else KeyError(error)


@app.task(name="shop.ignored", acks_late=True, time_limit=60, expires=30, shared=False)  # type: ignore[untyped-decorator]
def ignored() -> None:
    raise Ignore()


@app.task(name="shop.plain", shared=False)  # type: ignore[untyped-decorator]
def plain() -> None: ...


app.finalize()
_state._on_app_finalizers.intersection_update(before)  # or all that other tests make have them too


class Shop:
    """An application that has them, with a test's journal and clock."""

    def __init__(self, jobs: PostludeJobs, **options: Any) -> None:
        self.jobs = jobs
        web = FastAPI()
        self.postlude = Postlude(web, store="memory", packages=["tests"])
        self.adopted = {task.name: task for task in adopt(self.postlude, app, **options)}
        self._added: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []
        self._client = TestClient(web)

        @web.post("/")
        async def add(tasks: BackgroundTasks) -> None:
            for function, args, kwargs in self._added:
                tasks.add_task(function, *args, **kwargs)

    def add(self, function: Any, *args: Any, **kwargs: Any) -> None:
        """Add a job in a request, by FastAPI's own parameter."""
        self._added = [(function, args, kwargs)]
        assert self._client.post("/").status_code == 200


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[PostludeJobs]:
    tried.clear()
    monkeypatch.setattr(_state, "default_app", app)
    monkeypatch.setattr(_state._tls, "current_app", None)
    with PostludeJobs() as jobs:
        yield jobs


def test_what_celery_has_is_added_as_a_job(jobs: PostludeJobs) -> None:
    shop = Shop(jobs)
    shop.add(send, 7, to="bob")
    shop.add(shared, datetime(2026, 3, 1, tzinfo=UTC))
    assert [(job.task, job.queue) for job in jobs.added()] == [
        ("shop.send", "default"),
        ("shop.shared", "default"),
    ]
    jobs.assert_added(send, 7, to="bob")
    assert jobs.drain() == Drained(succeeded=2)
    assert [job.record.result for job in jobs.added()] == [b'"7 to bob"', b'"2026-03-02T00:00:00Z"']


def test_arguments_are_checked_where_they_are_passed(jobs: PostludeJobs) -> None:
    shop = Shop(jobs)
    with pytest.raises(TypeError, match="colour"):
        shop.add(send, 7, colour="red")
    with pytest.raises(TypeError, match="number"):
        shop.add(again)


def test_a_bound_task_asks_for_another_attempt(jobs: PostludeJobs) -> None:
    shop = Shop(jobs)
    shop.add(again, 1)
    (job,) = jobs.added()
    assert jobs.drain() == Drained(retrying=1)
    assert jobs.advance(seconds=29) == Drained()
    assert jobs.advance(seconds=1) == Drained(succeeded=1)
    assert tried == [(job.id, 0), (job.id, 1)]


def test_after_max_retries_it_has_failed_by_what_it_raised(jobs: PostludeJobs) -> None:
    shop = Shop(jobs)
    shop.add(again, 9)
    jobs.drain()
    assert jobs.advance(seconds=60) == Drained(failed=1)
    assert len(tried) == 3
    (job,) = jobs.added()
    assert job.error == "LookupError: 9"


def test_only_what_it_names_is_tried_again(jobs: PostludeJobs) -> None:
    shop = Shop(jobs)
    shop.add(auto, "away")
    shop.add(auto, "odd")
    assert jobs.drain() == Drained(failed=1, retrying=1)


def test_what_is_ignored_is_discarded(jobs: PostludeJobs) -> None:
    shop = Shop(jobs)
    shop.add(ignored)
    assert jobs.drain() == Drained(cancelled=1)


def test_their_options_hold(jobs: PostludeJobs) -> None:
    policy = {name: task.policy for name, task in Shop(jobs).adopted.items()}
    assert policy["shop.ignored"].timeout == 60.0
    assert policy["shop.again"].retry.attempts == 3
    one = Shop(jobs, queue="reports", delivery="at_most_once", tasks=["shop.send"]).adopted
    assert list(one) == ["shop.send"]
    assert (one["shop.send"].policy.queue, one["shop.send"].policy.delivery) == ("reports", "at_most_once")


def test_it_is_done_once(jobs: PostludeJobs) -> None:
    shop = Shop(jobs, tasks=["shop.send"])
    assert adopt(shop.postlude, app, tasks=["shop.send"]) == []
    with pytest.raises(NotDurable):
        shop.postlude.components.registry.of(plain)
    with pytest.raises(ValueError, match=r"'shop' has no such task; it has: shop\.again, shop\.auto"):
        adopt(shop.postlude, app, tasks=["shop.none"])


def by_arguments(name: str, *_: Any, **__: Any) -> dict[str, str]:
    return {"queue": "mail"}


@pytest.mark.parametrize(
    ("routes", "own", "default", "queue"),
    [
        ({"shop.*": {"queue": "mail"}}, None, "celery", "mail"),
        ({"shop.*": "mail"}, None, "celery", "mail"),
        ({"shop.routed": {"queue": Queue("mail")}}, None, "celery", "mail"),  # type: ignore[no-untyped-call]
        ({"shop.routed": "mail"}, "pages", "celery", "mail"),
        (({"other.*": "pages"}, {"shop.*": "mail"}), None, "celery", "mail"),
        ({"other.*": "mail"}, "pages", "celery", "pages"),
        ({"shop.*": {"priority": 3}}, "pages", "celery", "pages"),
        (None, None, "mail", "mail"),
        (None, None, "celery", "default"),
        ({"shop.*": "unknown"}, None, "mail", "default"),
        ((by_arguments,), "pages", "mail", "default"),
    ],
)
def test_jobs_wait_in_the_queue_that_celery_sends_a_task_to(
    routes: Any, own: str | None, default: str, queue: str
) -> None:
    """If the application has it: nobody else would run them where the team's workers are."""
    theirs = Celery("routed", broker="memory://", set_as_current=False)
    theirs.conf.update(task_routes=routes, task_default_queue=default)
    theirs.task(name="shop.routed", shared=False, **({} if own is None else {"queue": own}))(send.run)
    engine = CeleryEngine(app=theirs)
    postlude = Postlude(store="memory", queues={"mail": engine, "pages": engine})
    (task,) = adopt(postlude, theirs, tasks=["shop.routed"])
    assert task.queue == queue
    assert "unknown" not in theirs.amqp.queues, "its workers would take messages of it"


def test_a_queue_that_is_given_is_taken(jobs: PostludeJobs) -> None:
    theirs = Celery("routed", broker="memory://", set_as_current=False)
    theirs.conf.task_routes = {"shop.*": "mail"}
    theirs.task(name="shop.routed", shared=False)(send.run)
    postlude = Postlude(store="memory", queues={"mail": CeleryEngine(app=theirs)})
    (task,) = adopt(postlude, theirs, tasks=["shop.routed"], queue="other")
    assert task.queue == "other"


def test_delay_goes_to_celery_as_ever(jobs: PostludeJobs) -> None:
    Shop(jobs)
    sent = send.delay(7)
    assert jobs.added() == []
    with app.connection_for_read() as connection:
        message = connection.default_channel.basic_get("celery")
        assert message is not None
        assert message.headers["id"] == sent.id


def test_ours_says_what_to_write(jobs: PostludeJobs) -> None:
    ours = Shop(jobs).adopted["shop.send"]
    with pytest.raises(AttributeError, match=r"write background_tasks\.add_task\(\w+, \.\.\.\) in a request"):
        ours.delay(7)  # type: ignore[attr-defined]
    with pytest.raises(
        AttributeError, match=r"write background_tasks\.add_task\(\w+\.using\(delay=60\), \.\.\.\)"
    ):
        ours.apply_async((7,), countdown=60)  # type: ignore[attr-defined]
