"""What functions return, as JSON: what comes back equal is kept, anything else is dropped."""

import functools
import json
import logging
import math
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr

from postlude.errors import InvalidResult
from postlude.tasks import Registry, Task
from postlude.tasks.codec.payload import Limits
from postlude.tasks.codec.results import read_return
from postlude.tasks.policy import Policy

LIMITS = Limits(payload=64, depth=20, result=2000)


class Report(BaseModel):
    orders: int
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    named: str = Field(default="", alias="Name")


@dataclass
class Point:
    x: int
    y: Decimal


class Odd:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("do not compare me")

    __hash__ = None  # type: ignore[assignment]


def returning(annotation: Any = None, *, plain: bool = False, annotated: bool = True) -> Task[..., Any]:
    def function() -> None: ...

    if annotated:
        function.__annotations__["return"] = annotation
    else:
        del function.__annotations__["return"]
    return Task(function, "app:function", LIMITS, Policy(), plain=plain)


def kept(task: Task[..., Any], value: Any) -> Any:
    """Write a value, and return what comes back."""
    text, dropped = task.encode_result(value)
    assert not dropped
    assert text is not None
    return task.decode_result(text)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, 7),
        (float, math.inf),
        (str, "ä\u2028"),
        (bool, True),
        (Any, {"a": [1, 2.5, None, "x", {"b": []}]}),
        (object, [1]),
        (dict[str, int], {"a": 1}),
        (list[Report], [Report(orders=3)]),
        (Report | None, Report(orders=3)),
        (Point, Point(1, Decimal("2.50"))),
        (tuple[int, str], (1, "a")),
        (set[uuid.UUID], {uuid.UUID(int=3)}),
        (Path, Path("/tmp/x")),
        (bytes, b"\xff\x00"),
        (datetime, datetime(2026, 1, 1, tzinfo=UTC)),
        (int | str, "7"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_it_comes_back_by_the_annotation(annotation: Any, value: Any) -> None:
    back = kept(returning(annotation), value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("value", [7, 2.5, "x", True, [1, {"a": None}], {}])
@pytest.mark.parametrize("plain", [True, False])
def test_json_needs_no_annotation(value: Any, plain: bool) -> None:
    assert kept(returning(annotated=False, plain=plain), value) == value


def test_it_is_written_as_people_read_it() -> None:
    assert returning(Report).encode_result(Report(orders=3))[0] == (
        b'{"orders":3,"at":"2026-01-01T00:00:00Z","named":""}'
    )


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, "7"),
        (int, True),
        (None, 7),
        (Any, Report(orders=3)),
        (Any, (1, 2)),
        (Any, {1: 2}),
        (list[int], iter([1])),
        (list[int], (1, 2)),
        (SecretStr, SecretStr("hunter2")),
        (Iterator[int], iter([1])),
        (Odd, Odd()),
        ("Unknown", 7),
        (str, "\ud800"),
        (int, 10**5000),
        (str, "x" * 2000),
        (list[str], ["x" * 500] * 5),
        (Any, json.loads("[" * 30 + "]" * 30)),
        (Any, object()),
        (Awaitable[int], 7),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_would_not_come_back_is_dropped_and_said_once(
    annotation: Any, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    task = returning(annotation)
    assert task.encode_result(value) == (None, True)
    assert task.using(priority=3).encode_result(value) == (None, True)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    for part in ("app:function", "is not kept: it ", "Annotate what the function returns", "return its key"):
        assert part in record.getMessage()
    assert "hunter2" not in record.getMessage()


def test_a_plain_function_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    assert returning(int, plain=True).encode_result("7") == (None, True)
    assert returning(annotated=False, plain=True).encode_result(object()) == (None, False)
    assert caplog.records == []


def test_the_part_that_does_not_come_back_is_named(caplog: pytest.LogCaptureFixture) -> None:
    returning(Any).encode_result({"a": [1, object()]})
    assert "has a part \"['a'][1]\" that is of type" in caplog.text


@pytest.mark.parametrize(("size", "dropped"), [(1998, False), (1999, True)])
def test_the_limit_is_in_bytes_of_json(size: int, dropped: bool) -> None:
    assert returning(str).encode_result("x" * size)[1] is dropped


def test_the_limit_of_arguments_is_another_one() -> None:
    assert kept(returning(str), "x" * 500) == "x" * 500


def test_the_registry_has_the_limit() -> None:
    @Registry(max_result=10).task
    def function() -> str:
        raise NotImplementedError

    assert function.encode_result("x" * 8) == (b'"xxxxxxxx"', False)
    assert function.encode_result("x" * 9) == (None, True)


def test_nothing_is_nothing() -> None:
    assert returning(Report).decode_result(None) is None


@pytest.mark.parametrize("data", [b'{"orders":"three"}', b"[", b"\xff", b'{"orders":3,"at":7}'])
def test_what_does_not_fit_any_more(data: bytes) -> None:
    with pytest.raises(InvalidResult, match="app:function"):
        returning(Report).decode_result(data)


async def waiters() -> Report:
    raise NotImplementedError


async def forward() -> "list[Report]":
    raise NotImplementedError


def coroutine() -> Coroutine[Any, Any, Report]:
    raise NotImplementedError


def awaitable() -> Awaitable[Report]:
    raise NotImplementedError


def unannotated():  # type: ignore[no-untyped-def]
    raise NotImplementedError


class Called:
    async def __call__(self) -> Report:
        raise NotImplementedError


class Holder:
    def method(self) -> Report:
        raise NotImplementedError

    @classmethod
    def made(cls) -> Report:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("function", "is_async", "annotation"),
    [
        (waiters, True, Report),
        (forward, True, list[Report]),
        (functools.partial(waiters), True, Report),
        (functools.wraps(waiters)(lambda *args, **kwargs: waiters()), True, Report),
        (coroutine, True, Report),
        (awaitable, True, Report),
        (awaitable, False, Awaitable[Report]),
        (Called(), True, Report),
        (Holder().method, False, Report),
        (Holder.made, False, Report),
        (unannotated, False, Any),
        (print, False, Any),
        (min, False, Any),
    ],
    ids=lambda value: getattr(value, "__qualname__", type(value).__name__),
)
def test_the_annotation_is_of_what_the_caller_gets(
    function: Callable[..., Any], is_async: bool, annotation: Any
) -> None:
    assert read_return(function, is_async=is_async).annotation == annotation


def test_nothing_is_compiled_before_it_is_needed() -> None:
    task = returning(Report)
    assert "_results_codec" not in vars(task)
    task.using(priority=3).encode_result(7)
    assert vars(task)["_results_codec"] is task._results()
