"""What code of the application raises around an attempt: the job has its end, and the others go on."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from pydantic_core import core_schema

from postlude import Fixed, Job, Limit, Postlude, Retry
from postlude.jobs.inspector import JobStatus
from postlude.model.state import State
from postlude.runner.executors import timeouts
from tests.app.serving import EAGER, becomes, eventually, serving

pytestmark = pytest.mark.anyio

REQUEST: ContextVar[str] = ContextVar("request_id")


def raises(error: BaseException) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        raise error

    return call


class Failing(logging.Handler):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.emit = raises(error)  # type: ignore[method-assign]


@contextmanager
def handler(on: str, error: BaseException) -> Iterator[None]:
    one = Failing(error)
    logging.getLogger(on).addHandler(one)
    yield
    logging.getLogger(on).removeHandler(one)


@contextmanager
def request_filter(on: str, error: BaseException) -> Iterator[None]:
    """The usual one, which knows of requests only."""
    one = logging.StreamHandler()
    one.addFilter(lambda record: bool(REQUEST.get()))
    logging.getLogger(on).addHandler(one)
    yield
    logging.getLogger(on).removeHandler(one)


@contextmanager
def factory(on: str, error: BaseException) -> Iterator[None]:
    before = logging.getLogRecordFactory()

    def make(name: str, *args: Any, **kwargs: Any) -> logging.LogRecord:
        if name.startswith(on):
            raise error
        return before(name, *args, **kwargs)

    logging.setLogRecordFactory(make)
    yield
    logging.setLogRecordFactory(before)


async def nothing() -> None: ...


async def fails() -> None:
    raise ValueError("x")


def fails_in_thread() -> None:
    raise ValueError("x")


async def fails_filled(other: None = Depends(nothing)) -> None:
    raise ValueError("x")


def fails_filled_in_thread(other: None = Depends(nothing)) -> None:
    raise ValueError("x")


async def late() -> None:
    await asyncio.sleep(60)


TASKS = [fails, fails_in_thread, fails_filled, fails_filled_in_thread, late]


@pytest.mark.parametrize("error", [OSError("down"), SystemExit(3), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("broken", [handler, request_filter, factory])
async def test_logging_that_fails_keeps_no_job_from_its_end(
    broken: Callable[..., Any], error: BaseException, folder: object
) -> None:
    postlude = Postlude(FastAPI(), store="memory", config=EAGER)
    limited = Limit(concurrent=1)
    tasks = [
        postlude.task(
            retry=Retry(attempts=2, backoff=Fixed(0)), limit=limited, timeout=0.005 if each is late else None
        )(each)
        for each in TASKS
    ]
    good = postlude.task(name="good", limit=limited)(nothing)
    async with serving(postlude):
        with broken("postlude", error):
            jobs = [
                await postlude.add_task(task.using(key="k"))
                for task in tasks
                for _ in range(2)  # the second joins the first, or waits for its slot
            ]
            for job in jobs:
                assert (await becomes(postlude, job, State.FAILED)).attempt == 2
            again = [await postlude.add_task(task.using(key="k")) for task in tasks]
            assert not {job.id for job in jobs} & {job.id for job in again}
            await (await postlude.add_task(good)).result(timeout=5)
            await asyncio.gather(*(becomes(postlude, job, State.FAILED) for job in again))


class Reading:
    """An argument whose reading raises what no validator should."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        def read(value: Any) -> Any:
            if ARMED:
                raise KeyboardInterrupt
            return cls()

        return core_schema.no_info_plain_validator_function(
            read, serialization=core_schema.plain_serializer_function_ser_schema(lambda value: 1)
        )

    def __eq__(self, other: object) -> bool:
        return type(other) is Reading

    __hash__ = None  # type: ignore[assignment]


ARMED: list[bool] = []


async def takes(it: Reading) -> None: ...


async def test_an_argument_whose_reading_raises(folder: object) -> None:
    postlude = Postlude(FastAPI(), store="memory")
    task = postlude.task(retry=Retry(attempts=1))(takes)
    async with serving(postlude):
        job = await postlude.add_task(task.using(delay=0.01), Reading())
        ARMED.append(True)
        try:
            assert "KeyboardInterrupt" in ((await becomes(postlude, job, State.FAILED)).error or "")
        finally:
            ARMED.clear()


class Proxy:
    """What a request-local name is bound to, where there is no request."""

    @property
    def __class__(self) -> type:
        raise RuntimeError("there is no request")

    @__class__.setter
    def __class__(self, value: type) -> None: ...


class Wary:
    """A result whose writing raises."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return core_schema.any_schema(
            serialization=core_schema.plain_serializer_function_ser_schema(raises(SystemExit(1)))
        )


def proxy() -> Any:
    return Proxy()


async def wary() -> Wary:
    return Wary()


async def exits() -> Any:
    yield
    raise SystemExit(1)


async def filled(other: None = Depends(exits)) -> None: ...


class Stubborn(asyncio.Future[None]):
    def cancel(self, msg: Any = None) -> bool:
        raise SystemExit(1)


async def waits_for_what_cannot_be_cancelled() -> None:
    await Stubborn()


@pytest.mark.parametrize("task", [proxy, wary, filled, waits_for_what_cannot_be_cancelled])
async def test_an_end_that_is_odd_is_an_end(
    task: Callable[..., Any], folder: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "PATIENCE", 0.02)
    postlude = Postlude(FastAPI(), store="memory")
    timeout = 0.02 if task is waits_for_what_cannot_be_cancelled else None
    odd = postlude.task(retry=Retry(attempts=1), timeout=timeout, limit=Limit(1))(task)
    async with serving(postlude):
        jobs = [await postlude.add_task(odd) for _ in range(2)]
        for job in jobs:
            assert (await eventually(partial(ended, postlude, job))).state is not State.CANCELLED


async def ended(postlude: Postlude, job: Job[Any]) -> JobStatus | None:
    status = await postlude.inspector.get(job.id)
    return status if status.ended else None


async def test_tasks_of_the_loop_may_be_made_by_the_application(folder: object) -> None:
    """One that begins a task before it is known, or makes none, has no part in jobs."""
    postlude = Postlude(FastAPI(), store="memory")
    task = postlude.task(name="good")(nothing)
    async with serving(postlude):
        job = await postlude.add_task(task.using(delay=0.02))
        loop = asyncio.get_running_loop()
        loop.set_task_factory(raises(RuntimeError("no task")))
        try:
            await becomes(postlude, job, State.SUCCEEDED)
        finally:
            loop.set_task_factory(None)
