"""What becomes of jobs by policy: how often they are attempted, and how long they are kept."""

import asyncio
import random

import pytest

from postlude import Config, Discard, Keep, Postlude, Retry, Snooze
from postlude.model.retry import Exponential
from postlude.model.state import State
from tests.app.serving import EVERY_STORE, becomes, eventually, serving
from tests.app.work import breaks, note, say

pytestmark = pytest.mark.anyio

QUICK = Config(poll_every=0.005, prune_every=0.01, tune_gc=False)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Attempts follow at once; the list gets after how many failures."""
    asked: list[int] = []

    def wait(self: Exponential, failures: int, rng: random.Random) -> float:
        asked.append(failures)
        return 0.0

    monkeypatch.setattr(Exponential, "wait", wait)
    return asked


@EVERY_STORE
async def test_a_declared_task_is_attempted_five_times(
    location: str, waits: list[int], log: list[str]
) -> None:
    postlude = Postlude(store=location, config=QUICK)
    task = postlude.task(breaks)
    async with serving(postlude):
        status = await becomes(postlude, await postlude.add_task(task, "a"), State.FAILED, 2.0)
    assert log == ["a"] * 5
    assert waits == [1, 2, 3, 4]
    assert [attempt.number for attempt in status.attempts] == [1, 2, 3, 4, 5]
    assert {attempt.error for attempt in status.attempts} == {"ValueError: a"}


@EVERY_STORE
async def test_a_declared_task_may_succeed_later(location: str, waits: list[int], log: list[str]) -> None:
    postlude = Postlude(store=location, config=QUICK)

    @postlude.task
    async def third_time() -> None:
        say("tried")
        if len(log) < 3:
            raise ConnectionError("not yet")

    async with serving(postlude):
        status = await becomes(postlude, await postlude.add_task(third_time), State.SUCCEEDED, 2.0)
    assert (len(log), len(status.attempts), status.error) == (3, 2, None)


async def test_a_plain_function_is_attempted_once(location: str, waits: list[int], log: list[str]) -> None:
    postlude = Postlude(store=location, config=QUICK)
    async with serving(postlude):
        status = await becomes(postlude, await postlude.add_task(breaks, "a"), State.FAILED)
    assert (log, waits, len(status.attempts)) == (["a"], [], 1)
    assert "in breaks" in status.attempts[0].traceback


async def in_a_task_group(*errors: Exception) -> None:
    async def child(error: Exception) -> None:
        raise error

    async with asyncio.TaskGroup() as children:
        for error in errors:
            children.create_task(child(error))


@pytest.mark.parametrize("in_a_thread", [False, True], ids=["loop", "thread"])
async def test_what_children_of_a_task_decide_counts(in_a_thread: bool, waits: list[int]) -> None:
    """By a `TaskGroup` in the task, which raises a group of what they have raised."""
    postlude = Postlude(store="memory", config=QUICK)
    seen: list[str] = []

    async def children(what: str) -> None:
        seen.append(what)
        first = len(seen) == 1
        match what:
            case "discard":
                await in_a_task_group(Discard("no such order"))
            case "snooze" if first:
                await in_a_task_group(Snooze(0))
            case "mixed":
                await in_a_task_group(Snooze(0), ValueError("seven"))

    def in_thread(what: str) -> None:
        asyncio.run(children(what))

    task = postlude.task(in_thread if in_a_thread else children, name="children", retry=Retry(2))
    ends: list[tuple[State, str | None, int, int]] = []
    async with serving(postlude):
        for what, state in (
            ("discard", State.CANCELLED),
            ("snooze", State.SUCCEEDED),
            ("mixed", State.FAILED),
        ):
            seen.clear()
            status = await becomes(postlude, await postlude.add_task(task, what), state, 2.0)
            ends.append((status.state, status.reason, len(seen), len(status.attempts)))
    assert ends == [
        (State.CANCELLED, "discarded", 1, 1),
        (State.SUCCEEDED, None, 2, 0),
        (State.FAILED, None, 2, 2),
    ]
    assert "ValueError: seven" in status.attempts[0].traceback


async def test_the_waits_are_between_nothing_and_a_bound_that_doubles() -> None:
    rng = random.Random(7)
    for failures, bound in ((1, 1.0), (2, 2.0), (5, 16.0), (9, 256.0), (10, 300.0), (80, 300.0)):
        drawn = [Exponential().wait(failures, rng) for _ in range(200)]
        assert 0.0 <= min(drawn) < bound / 10
        assert bound * 0.9 < max(drawn) <= bound


@pytest.mark.parametrize("keep", [Keep(successes=2, failures=1), Keep(success_seconds=0, failure_seconds=0)])
async def test_finished_jobs_are_kept_as_long_as_chosen(location: str, keep: Keep, log: list[str]) -> None:
    config = Config(poll_every=0.005, prune_every=0.01, tune_gc=False, keep=keep)
    postlude = Postlude(store=location, config=config)
    expected = {State.SUCCEEDED: 2, State.FAILED: 1} if keep.successes == 2 else {}
    async with serving(postlude):
        for _ in range(4):
            await postlude.add_task(note, "a")
            await postlude.add_task(breaks, "b")

        seen: dict[State, int] = {}

        async def look() -> bool | None:
            seen.clear()
            seen.update({each.state: each.jobs for each in await postlude.inspector.counts()})
            return (seen == expected and len(log) == 8) or None

        try:
            await eventually(look)
        except TimeoutError:
            pytest.fail(f"kept: {seen}; ran: {log}")
