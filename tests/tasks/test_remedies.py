"""What cannot be kept is told in the words of who passed it, with what to pass instead."""

import asyncio
import functools
import io
import socket
import sqlite3
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Optional

import pytest
from fastapi import BackgroundTasks, FastAPI, UploadFile
from pydantic import BaseModel, ConfigDict
from starlette.datastructures import FormData
from starlette.datastructures import UploadFile as StarletteUpload
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from postlude.errors import NotDurable
from postlude.jobs.current import CurrentJob
from postlude.jobs.handle import Job
from postlude.tasks.codec.codec import Codec
from postlude.tasks.codec.payload import Limits
from postlude.tasks.registry import Registry
from postlude.tasks.remedies import remedy_of
from tests.tasks import sample


@dataclass
class Held:
    thing: Any


class Model(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    thing: Any


class Own:
    """A class of the application."""


class Array:
    """As numpy's are."""

    def tolist(self) -> list[float]:
        return []


Array.__module__, Array.__qualname__ = "numpy", "ndarray"


async def gives() -> AsyncIterator[int]:
    yield 1


def of(module: str, name: str, *bases: type) -> Any:
    """Return an object of a class as a library has it that may not be installed here."""
    return type(name, bases, {"__module__": module})()


def refusal(annotation: Any, value: Any) -> str:
    with pytest.raises(NotDurable) as caught:
        Codec("app:task", sample.taking(annotation), Limits(1 << 20, 100)).encode((value,), {})
    return str(caught.value)


UPLOAD = StarletteUpload(io.BytesIO())
STORE_FIRST = "an upload, which ends with its request; store it first, and pass where it is (its path)"
REQUEST = Request({"type": "http"})


@pytest.mark.parametrize(
    ("annotation", "value", "place"),
    [
        (UploadFile, UPLOAD, "value"),
        (UploadFile, UploadFile(io.BytesIO()), "value"),
        (UploadFile | None, UPLOAD, "value"),
        (Optional[UploadFile], UPLOAD, "value"),  # noqa: UP045
        (Annotated[UploadFile, "file"], UPLOAD, "value"),
        (Any, UPLOAD, "value"),
        (list[UploadFile], [UPLOAD], "value[0]"),
        (Any, [{"a": UPLOAD}], "value[0]['a']"),
        (dict[str, Any], {"a": UPLOAD}, "value['a']"),
        (Held, Held(UPLOAD), "value.thing"),
        (Model, Model(thing=[UPLOAD]), "value.thing[0]"),
    ],
)
def test_an_upload_wherever_it_is(annotation: Any, value: Any, place: str) -> None:
    text = refusal(annotation, value)
    assert STORE_FIRST in text
    assert repr(place) in text
    assert "does not fit its annotation" not in text


KINDS: dict[str, tuple[Any, str]] = {
    "form": (FormData(), "store those first"),
    "request": (REQUEST, "pass what the task needs of it (a user's id)"),
    "websocket": (
        WebSocket({"type": "websocket"}, None, None),  # type: ignore[arg-type]
        "let the endpoint talk to it",
    ),
    "response": (Response(), "which has been sent when the job runs"),
    "application": (FastAPI(), "take `request.app` in a dependency"),
    "tasks": (BackgroundTasks(), "await postlude.add_task(...)"),
    "job": (Job(b"x" * 16, "t", "q"), "pass its id (`job.id`)"),
    "current job": (CurrentJob(b"x" * 16, "t", "q", 1), "call `current_job()`"),
    "task": (Registry().task(sample.taking(Any), name="take"), "import it in the module"),
    "session": (of("sqlalchemy.orm.session", "Session"), "Depends(get_session)"),
    "async session": (of("sqlalchemy.ext.asyncio.session", "AsyncSession"), "Depends(get_session)"),
    "a session derived": (
        type("Mine", (type(of("sqlalchemy.orm.session", "Session")),), {})(),
        "Depends(get_session)",
    ),
    "connection": (of("sqlalchemy.engine.base", "Connection"), "Depends(get_session)"),
    "async connection": (of("sqlalchemy.ext.asyncio.engine", "AsyncConnection"), "Depends(get_session)"),
    "pool": (of("asyncpg.pool", "Pool"), "Depends(get_session)"),
    "sqlite": (sqlite3.connect(":memory:"), "Depends(get_session)"),
    "client": (of("httpx", "AsyncClient"), "open one in the task"),
    "socket": (socket.socket(), "open one in the task"),
    "lock": (threading.Lock(), "give the task a `key` or a `limit`"),
    "async lock": (asyncio.Lock(), "give the task a `key` or a `limit`"),
    "queue": (asyncio.Queue(), "pass what is in it"),
    "thread": (threading.Thread(), "let the task do it"),
    "bytes": (io.BytesIO(), "is an open file"),
    "spooled": (tempfile.SpooledTemporaryFile(), "an open file, which another process does not have"),  # noqa: SIM115
    "named": (tempfile.NamedTemporaryFile(), "an open file, which another process does not have"),  # noqa: SIM115
    "generator": ((n for n in [1]), "pass a list"),
    "async generator": (gives(), "pass a list"),
    "lambda": (lambda: None, "is a function (a lambda)"),
    "method": (UPLOAD.read, "is a function"),
    "class": (Own, "pass its name"),
    "module": (io, "import it in the task"),
    "exception": (ValueError("secret"), "str(error)"),
    "array": (Array(), "is of type numpy.ndarray; pass value.tolist()"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_it_is_and_what_to_pass(kind: str) -> None:
    value, words = KINDS[kind]
    for annotation, given in ((Any, value), (list[Any], [value])):
        text = refusal(annotation, given)
        assert words in text
        assert "secret" not in text


def test_a_coroutine() -> None:
    async def total() -> int:
        return 1

    coroutine = total()
    try:
        assert "nobody has awaited it" in refusal(int, coroutine)
    finally:
        coroutine.close()


def test_a_row_of_an_orm() -> None:
    class Order:
        _sa_class_manager = None

    assert "pass its id, and load it" in refusal(Order, Order())


@pytest.mark.parametrize(
    ("annotation", "value"), [(Own, Own()), (Own | None, Own()), (list[Own], [Own()]), (object, Own())]
)
def test_what_is_of_its_annotation_is_not_said_to_miss_it(annotation: Any, value: Any) -> None:
    assert "does not fit its annotation" not in refusal(annotation, value)


def test_another_class_of_the_same_name() -> None:
    again: Callable[[], Any] = type("Own", (), {"__qualname__": "Own", "__module__": "reloaded"})
    assert "is of the Own of reloaded, which is not that of its annotation" in refusal(Own, again())


@pytest.mark.parametrize(
    "value", [7, "7", None, [1], {"a": 1}, (1,), b"x", Held(1), functools.partial(print)]
)
def test_of_other_things_there_is_nothing_to_say(value: Any) -> None:
    assert remedy_of(value) is None
