"""What code declares of schedules, and what is said of mistakes, on the line that makes them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from postlude import Limit, Postlude, Task, TaskDefinitionError
from postlude.model.schedule import Schedule, read_terms


async def report(region: str = "eu", day: int | None = None) -> None: ...


async def needs(region: str) -> None: ...


@pytest.fixture
def postlude() -> Postlude:
    return Postlude(store="memory")


def only(postlude: Postlude) -> Schedule:
    (schedule,) = postlude.book.schedules
    return schedule


def test_a_plain_function_becomes_a_task(postlude: Postlude) -> None:
    task = postlude.cron("0 7 * * MON-FRI", timezone="Europe/Paris", missed="skip")(report)
    assert isinstance(task, Task)
    assert only(postlude) == Schedule(
        task.name, task.name, "default", "0 7 * * MON-FRI", "Europe/Paris", "skip", 60_000_000,
        task.encode((), {}).payload, "{}",
    )  # fmt: skip


def test_the_policy_of_a_task_is_that_of_its_jobs(postlude: Postlude) -> None:
    task = postlude.task(queue="mail", priority=3, limit=Limit(1, per="region"), delivery="at_most_once")(
        report
    )
    made = postlude.every(timedelta(minutes=5), arguments={"region": "us"}, leeway=2)(task.using(key="one"))
    assert made.base is task
    schedule = only(postlude)
    assert (schedule.rule, schedule.queue, schedule.leeway) == ("@every 300", "mail", 2_000_000)
    terms = read_terms(schedule.terms)
    assert (terms.priority, terms.once, terms.key, terms.rated) == (3, True, "one", True)
    assert terms.concurrency_key is not None
    assert "us" in terms.concurrency_key
    assert task.decode(schedule.payload) == ((), {"region": "us"})


def test_a_time_zone_may_be_an_object(postlude: Postlude) -> None:
    postlude.cron("@daily", timezone=ZoneInfo("America/New_York"))(report)
    assert only(postlude).zone == "America/New_York"


def test_a_task_may_have_several_by_names_of_their_own(postlude: Postlude) -> None:
    task = postlude.cron("0 7 * * *")(report)
    postlude.cron("0 19 * * *", name="evening")(task)
    assert [one.name for one in postlude.book.schedules] == [task.name, "evening"]
    with pytest.raises(
        TaskDefinitionError, match=r'is a schedule .* already: .*name="report in the evening"'
    ):
        postlude.every(60)(task)
    with pytest.raises(TaskDefinitionError, match="there is a schedule 'evening' already"):
        postlude.every(60, name="evening")(task)


MISTAKES: list[tuple[Callable[[Any], Any], str]] = [
    (lambda p: p.cron("0 7 * *"), "has 4 fields; give minute hour day-of-month"),
    (lambda p: p.cron(None), r"cron\(None\): give a text, as in '0 7 \* \* MON-FRI'"),
    (lambda p: p.cron("0 7 * * *", timezone="Paris"), "there is no time zone 'Paris'; give a name as"),
    (lambda p: p.cron("0 7 * * *", timezone=None), "timezone=None: give a name as 'Europe/Paris'"),
    (lambda p: p.cron("0 7 * * *", missed="never"), 'missed=\'never\': give "skip", "once" or "all"'),
    (lambda p: p.cron("0 7 * * *", leeway="5"), "leeway: '5' is no time; give seconds, or a timedelta"),
    (lambda p: p.cron("0 7 * * *", leeway=-1), "leeway: -1 is no time"),
    (lambda p: p.every(0.5), r"every\(0.5\): give a second at least"),
    (lambda p: p.every("5m"), "every: '5m' is no time; give seconds, or a timedelta"),
    (lambda p: p.every(True), "every: True is no time"),
    (lambda p: p.every(60, name="")(report), "name='': give 1 to 500 characters"),
    (lambda p: p.every(60)(needs), r"region.*given by arguments=\{'name': value\}"),
    (lambda p: p.every(60, arguments={"regoin": "eu"})(report), r"regoin.*arguments="),
    (lambda p: p.every(60, arguments={"region": object()})(report), r"region.*arguments="),
    (lambda p: p.every(60, arguments=["eu"])(report), r"arguments=\['eu'\]: give them by name"),
    (lambda p: p.every(60)(p.task(report).using(delay=5)), "a schedule is no call: declare expires="),
    (
        lambda p: p.every(60)(p.task(report).using(at=datetime(2030, 1, 1, tzinfo=UTC))),
        "a schedule is no call",
    ),
    (lambda p: p.every(60)(Postlude(store="memory").task(report)), "is a task of another Postlude"),
    (lambda p: p.every(60)(lambda: None), "lambda"),
    (lambda p: p.every(60)(7), "int is not callable"),
]


@pytest.mark.parametrize("make, words", MISTAKES)
def test_a_mistake_is_told_on_its_line_with_what_to_write(
    postlude: Postlude, make: Callable[[Any], Any], words: str
) -> None:
    with pytest.raises(TaskDefinitionError, match=words):
        make(postlude)
    assert postlude.book.schedules == []
