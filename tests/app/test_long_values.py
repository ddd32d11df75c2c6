"""No message repeats a megabyte that somebody has given: it would stand in logs and in answers."""

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import pytest

from postlude import Config, Limit, Local, Postlude, Rate, Retry, RetryLater, Snooze
from postlude.clock import ManualClock
from postlude.jobs.naming import full_name, whole_id
from postlude.model.ids import IdSource
from postlude.model.job import NewJob
from postlude.model.retry import Exponential, Fixed, Linear
from postlude.model.terms import Conflict, Terms
from postlude.stores.location import parse_location
from postlude.stores.memory import MemoryStore
from postlude.tasks.options import CallOptions, TaskOptions
from tests.app.serving import serving

pytestmark = pytest.mark.anyio

LONG: Any = "é" * 1_000_000
MOST = 1_000
"""Characters of a message, at most."""

CONFIG: Any = Config

Try = Callable[[Any], Any]


def add(number: int = 1) -> None: ...


def take(values: dict[str, int]) -> None: ...


def given(**options: Any) -> None: ...


def using(option: str) -> Try:
    return lambda postlude: postlude.task(add, name="long:add").using(**{option: LONG})


def sync_limits(option: str) -> Try:
    options: Any = {"name": "long:add", option: LONG}
    return lambda postlude: postlude.task(add, **options)


TRIES: dict[str, Try] = {
    **{f"using({option}=)": using(option) for option in CallOptions.__annotations__},
    **{f"task({option}=)": sync_limits(option) for option in TaskOptions.__annotations__},
    "an option's name": lambda postlude: postlude.task(add).using(**{LONG: 1}),
    "a declared option's name": lambda postlude: postlude.task(add, **{LONG: 1}),
    "an attribute that is set": lambda postlude: setattr(postlude.task(add), LONG, 1),
    "Limit": lambda _: Limit(LONG),
    "Rate": lambda _: Rate(1, per=LONG),
    "Retry": lambda _: Retry(attempts=LONG),
    "Retry.on": lambda _: Retry(on=LONG),
    "Exponential": lambda _: Exponential(first=LONG),
    "Linear": lambda _: Linear(step=LONG),
    "Fixed": lambda _: Fixed(LONG),
    "Config": lambda _: replace(Config(), grace=LONG),
    "a setting's name": lambda _: CONFIG(**{LONG: 1}),
    "Local": lambda _: Local(LONG),
    "queues": lambda _: Postlude(queues={LONG: LONG}),
    "delivery": lambda _: Postlude(delivery=LONG),
    "context": lambda _: Postlude(context=[ContextVar(LONG), ContextVar(LONG)]),
    "store": lambda _: Postlude(store=f"{LONG}://x"),
    "a location": lambda _: parse_location(f"sqlite:{LONG}"),
    "the command line's id": lambda _: whole_id(LONG, MemoryStore(ManualClock())),
    "the command line's digits": lambda _: whole_id("0" * 30, MemoryStore(ManualClock())),
    "the command line's task": lambda _: full_name("f", [f"{LONG}:f", f"{LONG}{LONG}:f"]),
    "job": lambda postlude: postlude.job(LONG),
    "cancel": lambda postlude: postlude.cancel(LONG),
    "retry": lambda postlude: postlude.retry(LONG),
    "pause": lambda postlude: postlude.pause(LONG),
    "pause(task=)": lambda postlude: postlude.pause(task=LONG),
    "inspector.get": lambda postlude: postlude.inspector.get(LONG),
    "an argument": lambda postlude: postlude.add_task(add, LONG),
    "an argument's name": lambda postlude: postlude.add_task(add, **{LONG: 1}),
    "any argument's name": lambda postlude: postlude.add_task(given, **{LONG: object()}),
    "a part's name": lambda postlude: postlude.add_task(take, {LONG: "x"}),
}


@pytest.mark.parametrize("what", TRIES)
async def test_what_is_refused(what: str) -> None:
    postlude = Postlude(store="memory")
    async with serving(postlude):
        told = await refused(lambda: TRIES[what](postlude))
    assert 0 < len(told) < MOST


async def refused(call: Callable[[], Any]) -> str:
    try:
        answer = call()
        if inspect.isawaitable(answer):
            await answer
    except Exception as error:
        return str(error)
    pytest.fail("it was taken")


@pytest.mark.parametrize("error", [Snooze, RetryLater])
def test_waits(error: type[Snooze | RetryLater]) -> None:
    """Nor does it take minutes to see that a megabyte is no date."""
    assert 0 < len(str(error(LONG))) < MOST


def test_a_key_that_is_taken() -> None:
    store, new = MemoryStore(ManualClock()), IdSource().new
    jobs = [NewJob(new(1), "t", "q", b"", 1, Terms(key="k" * 500, conflict=Conflict.RAISE)) for _ in range(2)]
    assert 0 < len(str(store.add(jobs).error)) < MOST
