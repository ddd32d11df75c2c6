"""What people write who come from other queues, or misspell: the error shows the line to write."""

import copy
import pickle
from datetime import timedelta
from typing import Any

import pytest

from postlude import (
    Config,
    Exponential,
    Fixed,
    Job,
    Keep,
    Limit,
    Linear,
    Local,
    Postlude,
    Rate,
    Retry,
    TaskDefinitionError,
)
from postlude.tasks.registry import Registry
from postlude.tasks.task import Task


async def send(order: int, to: str = "ada") -> None: ...


@pytest.fixture
def registry() -> Registry:
    return Registry(packages=["tests"])


@pytest.fixture
def task(registry: Registry) -> Task[..., Any]:
    return registry.task(send, name="shop.mail:Mailer.send")


IN_A_REQUEST = (
    "write background_tasks.add_task(send, ...) in a request, or await postlude.add_task(send, ...)"
)

ATTRIBUTES = {
    "delay": IN_A_REQUEST,
    "send": IN_A_REQUEST,
    "kiq": IN_A_REQUEST,
    "enqueue": IN_A_REQUEST,
    "defer": IN_A_REQUEST,
    "apply_async": "write background_tasks.add_task(send.using(delay=60), ...)",
    "send_with_options": "write background_tasks.add_task(send.using(delay=60), ...)",
    "schedule": "write background_tasks.add_task(send.using(delay=60), ...)",
    "enqueue_at": "write background_tasks.add_task(send.using(at=moment), ...)",
    "s": "write send.call(...), for postlude.add_tasks",
    "si": "write send.call(...), for postlude.add_tasks",
    "signature": "write send.call(...), for postlude.add_tasks",
    "map": "write await postlude.add_tasks(send.call(n) for n in numbers)",
    "retry": "write raise RetryLater(60) inside the task",
    "request": "write current_job() inside the task",
    "AsyncResult": "write await postlude.job(id)",
}


class TestTasks:
    @pytest.mark.parametrize("name", ATTRIBUTES)
    def test_what_tasks_of_others_can_do(self, task: Task[..., Any], name: str) -> None:
        for one in (task, task.using(delay=5)):
            with pytest.raises(AttributeError) as caught:
                getattr(one, name)
            assert ATTRIBUTES[name] in str(caught.value)
            assert not hasattr(one, name)

    @pytest.mark.parametrize("name", ["usign", "xyz", "__wat__", "_private", "__fspath__"])
    def test_of_other_names_nothing_is_guessed(self, task: Task[..., Any], name: str) -> None:
        with pytest.raises(AttributeError) as caught:
            getattr(task, name)
        assert str(caught.value) == f"'Task' object has no attribute {name!r}"
        assert (caught.value.name, caught.value.obj) == (name, task), "Python looks for what was meant"

    def test_a_functions_own_attributes_are_there(self, registry: Registry) -> None:
        def told() -> None: ...

        told.delay = 3  # type: ignore[attr-defined]
        assert registry.task(told).delay == 3  # type: ignore[attr-defined]

    @pytest.mark.parametrize("kind", [Task, Postlude])
    def test_attributes_that_are_there_are_found_the_short_way(self, kind: type) -> None:
        assert not any({"__getattr__", "__getattribute__"} & vars(each).keys() for each in kind.__mro__[:-1])

    def test_copying_is_as_before(self, task: Task[..., Any]) -> None:
        assert copy.copy(task) is copy.deepcopy(task) is task
        with pytest.raises(TypeError, match="a task is not pickled"):
            pickle.dumps(task)


class TestPostlude:
    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("enqueue", "await postlude.add_task(send_receipt, ...)"),
            ("enqueue_job", "await postlude.add_task(send_receipt, ...)"),
            ("send_task", "await postlude.add_task(send_receipt, ...)"),
            ("actor", "write @postlude.task"),
            ("AsyncResult", "write await postlude.job(id)"),
        ],
    )
    def test_what_applications_of_others_can_do(self, name: str, words: str) -> None:
        with pytest.raises(AttributeError) as caught:
            getattr(Postlude(store="memory"), name)
        assert words in str(caught.value)

    def test_another_name(self) -> None:
        with pytest.raises(AttributeError, match="no attribute 'tsak'"):
            _ = Postlude(store="memory").tsak  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"stoer": "memory"}, r"Postlude\(stoer='memory'\): there is no stoer=; did you mean store="),
            ({"broker": "redis://x"}, r"Postlude\(broker='redis://x'\): write store="),
            ({"path": "x.db"}, r'Postlude\(path=\'x.db\'\): write store="sqlite:///jobs.db"'),
            ({"grace": 3}, r"Postlude\(grace=3\): write config=Config\(grace=3\)"),
            ({"zzz": object()}, r"Postlude\(zzz=\.\.\.\): there is no zzz=; there are app, store, packages"),
        ],
    )
    def test_a_keyword_that_is_not_there(self, given: Any, words: str) -> None:
        with pytest.raises(TypeError, match=words):
            Postlude(**given)

    def test_a_class_of_ones_own_has_its_own_keywords(self) -> None:
        class Own(Postlude):
            def __init__(self, shop: str) -> None:
                super().__init__(store="memory")
                self.shop = shop

        assert Own(shop="ada").shop == "ada"
        with pytest.raises(TypeError, match="did you mean shop="):
            Own(shoop="ada")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("get", "job has no 'get'; write await job.result(timeout=60)"),
        ("state", "job has no 'state'; write (await job.status()).state"),
        ("revoke", "job has no 'revoke'; write await job.cancel()"),
        ("job_id", "job has no 'job_id'; write job.id"),
        ("zzz", "job has no 'zzz'"),
    ],
)
def test_what_jobs_of_others_can_do(name: str, words: str) -> None:
    job: Job[None] = Job(b"0" * 16, "shop:send", "default")
    with pytest.raises(AttributeError) as caught:
        getattr(job, name)
    assert str(caught.value) == words
    assert copy.deepcopy(job) == copy.copy(job) == job


DECLARED: list[tuple[dict[str, Any], str]] = [
    ({"max_retries": 3}, "max_retries= is no option here; write retry=Retry(attempts=4)"),
    ({"retries": None}, "write retry=Retry(attempts=4)"),
    ({"max_tries": 3}, "write retry=Retry(attempts=3)"),
    ({"default_retry_delay": 30}, "write retry=Retry(backoff=Fixed(30))"),
    ({"retry_backoff": True}, "write retry=Retry(backoff=Exponential())"),
    ({"retry_backoff_max": 600}, "write retry=Retry(backoff=Exponential(most=600))"),
    ({"autoretry_for": (OSError,)}, "write retry=Retry(on=(ConnectionError,))"),
    ({"time_limit": 30_000}, "write timeout=30"),
    ({"rate_limit": "10/m"}, "write rate=Rate(100, per=60)"),
    ({"max_concurrency": 4}, "write limit=Limit(4)"),
    ({"countdown": 60}, "write task.using(delay=60)"),
    ({"acks_late": True}, 'delivery="at_most_once" is the contrary'),
    ({"bind": True}, "; leave it out: current_job() inside the function"),
    ({"ignore_result": True}, "kept by its return annotation"),
    ({"queue_name": "mail"}, "write queue='mail'"),
    ({"link": send}, "at the end of the function"),
    ({"retry": 3}, "retry=3: give Retry(...): write retry=Retry(attempts=3)"),
    ({"retry": True}, "retry=True: give Retry(...)"),
    ({"retry": False}, "retry=False: give Retry(...): write retry=Retry(attempts=1)"),
    ({"retry": None}, "retry=None: give Retry(...): write retry=Retry(attempts=1)"),
    ({"limit": 4}, "limit=4: give Limit(...): write limit=Limit(concurrent=4)"),
    ({"rate": 100}, "write rate=Rate(count=100)"),
    ({"rate": "10/m"}, "rate='10/m': give Rate(...)"),
]


class TestOptions:
    @pytest.mark.parametrize(("given", "words"), DECLARED)
    def test_when_a_task_is_declared(self, registry: Registry, given: dict[str, Any], words: str) -> None:
        with pytest.raises(TaskDefinitionError) as caught:
            registry.task(**given)
        assert words in str(caught.value)

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"countdown": 60}, "write task.using(delay=60)"),
            ({"eta": timedelta(1)}, "write task.using(at=...)"),
            ({"_defer_by": 5}, "write task.using(delay=5)"),
            ({"job_id": "a"}, "write task.using(key='a')"),
            ({"max_retries": 3}, "write retry=Retry(attempts=4)"),
            ({"kye": "a"}, "did you mean key=?"),
        ],
    )
    def test_when_a_call_has_some(self, task: Task[..., Any], given: dict[str, Any], words: str) -> None:
        with pytest.raises(TaskDefinitionError) as caught:
            task.using(**given)
        assert words in str(caught.value)

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"countdown": 60}, "; write task.using(delay=60)"),
            ({"delay": 60}, "; an option of the job is set by using: task.using(delay=...)"),
            ({"args": (7,)}, "; the function's arguments follow it as they are: add_task(function, 7"),
            ({"kwargs": {"order": 7}}, "; the function's arguments follow it as they are"),
        ],
    )
    def test_among_the_arguments(self, task: Task[..., Any], given: dict[str, Any], words: str) -> None:
        with pytest.raises(TypeError) as caught:
            task.encode((7,), given)
        assert words in str(caught.value)

    def test_a_parameter_of_that_name_is_the_functions(self, registry: Registry) -> None:
        def counts(countdown: int, retries: int) -> None: ...

        encoded = registry.task(counts).encode((3,), {"retries": 4})
        assert encoded.payload == b'{"a":[],"k":{"countdown":3,"retries":4}}'


VALUES: list[tuple[Any, dict[str, Any], str]] = [
    (Retry, {"max_retries": 3}, "Retry(max_retries=3): write Retry(attempts=4)"),
    (Retry, {"max_attempts": 3}, "Retry(max_attempts=3): write Retry(attempts=3)"),
    (Retry, {"delay": 3}, "Retry(delay=3): write Retry(backoff=Fixed(3))"),
    (Retry, {"max": 3}, "Retry(max=3): write Retry(attempts=3)"),
    (Retry, {"exceptions": (OSError,)}, "Retry(exceptions=...): write Retry(on=(ConnectionError,))"),
    (Retry, {"zzz": 3}, "Retry(zzz=3): there is no zzz=; there are attempts, backoff, on, unless"),
    (Limit, {"max": 3}, "Limit(max=3): write Limit(concurrent=3)"),
    (Rate, {"limit": 3}, "Rate(limit=3): write Rate(3, per=60)"),
    (Config, {"workers": 9}, "write threads=9 and loop_slots=9"),
    (Retry, {"attempt": 3}, "there is no attempt=; did you mean attempts=?"),
    (Retry, {"default_retry_delay": 9}, "write Retry(backoff=Fixed(9))"),
    (Exponential, {"frist": 3}, "did you mean first=?"),
    (Linear, {"stpe": 3}, "did you mean step=?"),
    (Fixed, {"second": 3}, "did you mean seconds=?"),
    (Limit, {"max_concurrency": 3}, "Limit(max_concurrency=3): write Limit(3)"),
    (Limit, {"concurent": 3}, "did you mean concurrent=?"),
    (Rate, {"cuont": 3}, "did you mean count=?"),
    (Local, {"limits": 3}, "did you mean limit=?"),
    (Keep, {"sucesses": 3}, "did you mean successes=?"),
    (Config, {"grase": 3}, "Config(grase=3): there is no grase=; did you mean grace=?"),
    (Config, {"concurrency": 9}, "write threads=9 and loop_slots=9"),
    (Config, {"shutdown_timeout": 9}, "write grace=9"),
    (Config, {"zzz": "x" * 99}, "Config(zzz=...): there is no zzz=; there are loop_slots, threads,"),
]


@pytest.mark.parametrize(("kind", "given", "words"), VALUES)
def test_keywords_of_values(kind: Any, given: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError) as caught:
        kind(**given)
    assert words in str(caught.value)


def test_what_is_spelled_right_is_as_before() -> None:
    assert Retry(3, on=OSError).attempts == Retry(attempts=3).attempts == 3
    assert (Config().grace, Config(grace=3).grace, Keep(successes=0).successes) == (10, 3, 0)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'concurrent'"):
        Limit()  # type: ignore[call-arg]
