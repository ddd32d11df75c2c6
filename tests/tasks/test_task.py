"""A task is still a function: for those who call it, and for those who look at it."""

import asyncio
import copy
import functools
import inspect
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from starlette._utils import is_async_callable
from starlette.background import BackgroundTasks

from postlude.errors import NotDurable, TaskDefinitionError
from postlude.model.retry import ONCE, Retry
from postlude.tasks.registry import Registry
from postlude.tasks.task import Task
from tests.tasks import sample


@pytest.fixture
def registry() -> Registry:
    return Registry(packages=["tests"])


class Later:
    async def __call__(self, value: int) -> int:
        return value


def test_a_declared_task_has_its_policy(registry: Registry) -> None:
    task = registry.task(sample.send, queue="mail", on_failure=True)
    assert (task.name, task.queue, task.on_failure) == ("tests.tasks.sample:send", "mail", True)
    assert (task.plain, task.once, task.policy.retry) == (False, False, Retry())


def test_a_plain_function_has_the_default_policy(registry: Registry) -> None:
    task = registry.of(sample.send)
    assert (task.plain, task.once, task.queue, task.on_failure) == (True, False, "default", False)
    assert task.policy.retry == ONCE


def test_delivery_is_the_registrys() -> None:
    registry = Registry(packages=["tests"], delivery="at_most_once")
    assert registry.of(sample.wrapped).once
    assert registry.task(sample.send).once


@pytest.mark.parametrize("declare", ["bare", "with options"])
def test_it_decorates(registry: Registry, declare: str) -> None:
    def double(value: int) -> int:
        """Twice."""
        return 2 * value

    decorate: Any = registry.task if declare == "bare" else registry.task(queue="other")
    task = decorate(double)
    assert task(4) == 8
    assert (task.__name__, task.__doc__, task.__module__, task.__wrapped__) == (
        "double",
        "Twice.",
        __name__,
        double,
    )
    assert inspect.signature(task) == inspect.signature(double)
    assert registry.call(task, (1,), {}) == (task, (1,), {})


def test_parameters_may_have_any_name(registry: Registry) -> None:
    @registry.task
    def report(self: int, function: int, args: int, name: int) -> int:
        return self + function + args + name

    assert report(self=1, function=2, args=3, name=4) == 10
    assert report.decode(report.encode((1, 2), {"args": 3, "name": 4}).payload)[1]["self"] == 1


def test_it_is_frozen(registry: Registry) -> None:
    task = registry.of(sample.send)
    with pytest.raises(AttributeError, match="frozen"):
        task.queue = "other"
    with pytest.raises(AttributeError, match="frozen"):
        del task.queue
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(task)
    assert copy.copy(task) is copy.deepcopy(task) is task


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (sample.send, False),
        (sample.send_later, True),
        (functools.partial(sample.send_later, 1), True),
        (Later(), True),
        (sample.mail, False),
    ],
)
def test_it_is_seen_as_async_exactly_if_it_gives_an_awaitable(
    registry: Registry, function: Any, expected: bool
) -> None:
    task = registry.task(function, name="task")
    assert task.is_async is expected
    assert is_async_callable(task) is expected
    assert asyncio.iscoroutinefunction(task) is expected


def test_inspect_sees_an_async_task(registry: Registry) -> None:
    assert inspect.iscoroutinefunction(registry.task(sample.send_later))
    assert not inspect.iscoroutinefunction(registry.task(sample.send))


def test_starlettes_own_background_tasks_run_it(registry: Registry) -> None:
    seen: list[object] = []

    @registry.task
    async def later(value: int) -> None:
        seen.append(value)

    @registry.task
    def now(value: int) -> None:
        seen.append(value)

    tasks = BackgroundTasks()
    for task in (later, now):
        tasks.add_task(task, 1)
    asyncio.run(tasks())
    assert seen == [1, 1]


def test_what_cannot_be_declared(registry: Registry) -> None:
    refused: list[tuple[Any, dict[str, Any], str]] = [
        (sample.shout, {}, "give it a name="),
        (sample.mail.of_object, {}, "give it a name="),
        (sample.mail, {}, "give it a name="),
        (7, {}, "not callable"),
        (registry.task(sample.send), {}, "is a task already"),
        (sample.wrapped, {"queue": ""}, "queue=.*give a short"),
        (dict.update, {"name": "update"}, "no signature"),
    ]
    for function, options, words in refused:
        with pytest.raises(TaskDefinitionError, match=words):
            registry.task(function, **options)
    assert registry.task(sample.mail, name="mail")("x") == "x"


def test_a_task_of_another_registry_is_refused(registry: Registry) -> None:
    with pytest.raises(NotDurable, match="another Postlude"):
        registry.call(Registry(packages=["tests"]).task(sample.send), (), {})


def test_an_application_factory_may_declare_again_but_not_another(registry: Registry) -> None:
    def factory(other: bool) -> Any:
        if other:

            def run() -> int:
                return 2
        else:

            def run() -> int:
                return 1

        return registry.task(run)

    factory(False)
    assert registry.resolve(factory(False).name)() == 1
    with pytest.raises(TaskDefinitionError, match="would both be"):
        factory(True)


class TestRelease:
    """A job whose arguments did not fit is tried again by a release in which this differs."""

    def of(self, function: Any) -> str:
        task: Task[..., Any] = Registry().task(function, name="task")
        return task.release

    def test_it_is_the_same_for_the_same_parameters(self) -> None:
        assert self.of(sample.taking(sample.Order)) == self.of(sample.taking(sample.Order))
        assert len(self.of(sample.send)) == 16

    def test_it_differs_with_names_annotations_and_defaults(self) -> None:
        def one(value: int) -> None: ...
        def other_name(number: int) -> None: ...
        def other_type(value: float) -> None: ...
        def with_default(value: int = 1) -> None: ...
        def two(value: int, more: int) -> None: ...

        functions = [one, other_name, other_type, with_default, two]
        assert len({self.of(function) for function in functions}) == len(functions)

    def test_it_differs_with_the_fields_of_a_model(self) -> None:
        def model(annotation: Any) -> Any:
            return type(
                "Model", (BaseModel,), {"__annotations__": {"value": annotation}, "__module__": "app"}
            )

        first, second, again = (self.of(sample.taking(model(kind))) for kind in (int, str, int))
        assert first == again != second


def test_a_generator_is_refused_because_calling_it_runs_nothing(registry: Registry) -> None:
    def generator() -> Iterator[int]:
        yield 1

    with pytest.raises(TaskDefinitionError, match="is a generator, and calling it runs nothing"):
        registry.task(generator, name="g")


def test_an_option_among_the_arguments_is_pointed_to_using(registry: Registry) -> None:
    task = registry.task(hint_sample, name="h")
    with pytest.raises(TypeError, match=r"an option of the job is set by using: task.using\(delay=...\)"):
        task.encode((), {"delay": 10})


def hint_sample(value: int = 1) -> None: ...
