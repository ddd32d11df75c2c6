"""Which jobs a test finds, and what it is told when it does not."""

import re
from datetime import UTC, datetime
from functools import partial
from typing import Any
from unittest.mock import ANY

import pytest

from postlude import NotDurable, Postlude, UnknownTask
from postlude.model.state import State
from postlude.testing import PostludeJobs
from tests.testing.shop import Order, count_all, deliver, postlude, send_receipt, write_ledger

MATCHES: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    (send_receipt, (), {}),
    (send_receipt, (7, "ada"), {}),
    (send_receipt, (7,), {"to": "ada"}),
    (send_receipt, (), {"to": "ada", "order": 7}),
    (send_receipt, (7, "ada", 1), {}),
    (send_receipt, (..., "ada"), {}),
    (send_receipt, (7,), {"to": ...}),
    (send_receipt, (7, ANY), {"copies": ANY}),
    (send_receipt, (7, ANY), {"copies": ...}),
    (partial(send_receipt, 7), (), {"to": "ada"}),
    ("tests.testing.shop:send_receipt", (7, "ada"), {}),
    ("send_receipt", (7, "ada"), {}),
    ("send_receipt", (), {"order": 7, "to": ...}),
]

OTHERS: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    (send_receipt, (8, "ada"), {}),
    (send_receipt, (True, "ada"), {}),
    (send_receipt, ("7", "ada"), {}),
    (send_receipt, (7, "ada", 2), {}),
    (send_receipt, (..., ...), {"copies": 2}),
    (write_ledger, (), {}),
]


@pytest.mark.parametrize(("task", "args", "kwargs"), MATCHES)
@pytest.mark.parametrize(
    ("by_place", "by_name"), [((7,), {"to": "ada"}), ((7, "ada", 1), {}), ((), {"to": "ada", "order": 7})]
)
def test_a_call_is_found_however_it_was_written(
    postlude_jobs: PostludeJobs,
    by_place: tuple[Any, ...],
    by_name: dict[str, Any],
    task: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    postlude.blocking.add_task(send_receipt, *by_place, **by_name)
    job = postlude_jobs.assert_added(task, *args, **kwargs)
    assert (job.state, job.kwargs["order"], job.kwargs["to"]) == (State.QUEUED, 7, "ada")
    assert postlude_jobs.count(task, *args, **kwargs) == 1
    with pytest.raises(AssertionError, match="should not have been"):
        postlude_jobs.assert_not_added(task, *args, **kwargs)


@pytest.mark.parametrize(("task", "args", "kwargs"), OTHERS)
def test_another_call_is_not(
    postlude_jobs: PostludeJobs, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    postlude.blocking.add_task(send_receipt, 7, "ada")
    postlude_jobs.assert_not_added(task, *args, **kwargs)
    assert postlude_jobs.count(task, *args, **kwargs) == 0
    with pytest.raises(AssertionError):
        postlude_jobs.assert_added(task, *args, **kwargs)


@pytest.mark.parametrize(
    ("added", "wanted", "same"),
    [
        ((Order(number=1),), (Order(number=1),), True),
        ((Order(number=1),), (Order(number=1, to="nobody"),), True),
        ((Order(number=1),), (Order(number=1, to="ada"),), False),
        ((Order(number=1), {"b", "a", "c"}), (Order(number=1), {"c", "b", "a"}), True),
        ((Order(number=1), {"b"}), (Order(number=1), {"a"}), False),
        ((Order(number=1), {"b"}), (Order(number=1), ANY), True),
        ((Order(number=1), {"b"}), (Order(number=1),), False),
    ],
)
def test_values_are_compared_as_they_are_stored(
    postlude_jobs: PostludeJobs, added: Any, wanted: Any, same: bool
) -> None:
    postlude.blocking.add_task(write_ledger, *added)
    assert postlude_jobs.count(write_ledger, *wanted) == same


@pytest.mark.parametrize(
    ("args", "kwargs", "same"),
    [
        ((1, 2, 3), {"x": 4}, True),
        ((1, ..., 3), {"x": ...}, True),
        ((1, 2), {"x": 4}, False),
        ((1, 2, 3, 4), {"x": 4}, False),
        ((1, 2, 3), {}, False),
        ((1, 2, 3), {"x": 4, "y": 5}, False),
    ],
)
def test_arguments_without_a_name(
    postlude_jobs: PostludeJobs, args: tuple[Any, ...], kwargs: dict[str, Any], same: bool
) -> None:
    postlude.blocking.add_task(count_all, 1, 2, 3, x=4)
    assert postlude_jobs.count(count_all, *args, **kwargs) == same
    assert postlude_jobs.added()[0].args == (1, 2, 3)
    assert postlude_jobs.added()[0].kwargs == {"x": 4}


def test_matchers_inside_of_values(postlude_jobs: PostludeJobs) -> None:
    postlude.blocking.add_task(count_all, {"id": 5, "share": 0.1 + 0.2})
    postlude_jobs.assert_added(count_all, {"id": ANY, "share": pytest.approx(0.3)})
    postlude_jobs.assert_not_added(count_all, {"id": 6, "share": ANY})


def test_of_several_the_newest_is_returned(postlude_jobs: PostludeJobs) -> None:
    jobs = [postlude.blocking.add_task(send_receipt, 7, "ada") for _ in range(3)]
    assert postlude_jobs.assert_added(send_receipt, 7, "ada").id == jobs[-1].id
    assert [job.id for job in postlude_jobs.added(send_receipt)] == [job.id for job in jobs]


def test_the_text_says_what_was_asked_for_and_what_there_is(postlude_jobs: PostludeJobs) -> None:
    with pytest.raises(AssertionError) as nothing:
        postlude_jobs.assert_added(send_receipt, 7, to=...)
    assert str(nothing.value) == "tests.testing.shop:send_receipt(7, to=...) was not added.\nNothing was."
    postlude.blocking.add_task(send_receipt, 7, to="ada")
    postlude.blocking.add_task(deliver, "p")
    with pytest.raises(AssertionError) as caught:
        postlude_jobs.assert_added(send_receipt, 8, to="ada", copies=2)
    assert str(caught.value).splitlines() == [
        "tests.testing.shop:send_receipt(8, to='ada', copies=2) was not added.",
        "Of this task there is:",
        "  tests.testing.shop:send_receipt(order=7, to='ada') · queued",
        "      order is 7, not 8",
        "      copies is not given, not 2",
        "Of other tasks:",
        "  tests.testing.shop:deliver(parcel='p') · queued",
    ]


def test_the_text_for_what_should_not_be_there(postlude_jobs: PostludeJobs) -> None:
    postlude.blocking.add_task(send_receipt, 7, to="ada")
    text = re.escape("should not have been:\n  tests.testing.shop:send_receipt(order=7, to='ada') · queued")
    with pytest.raises(AssertionError, match=text):
        postlude_jobs.assert_not_added(send_receipt)


def test_long_values_are_cut(postlude_jobs: PostludeJobs) -> None:
    postlude.blocking.add_task(deliver, "x" * 10_000)
    assert len(str(postlude_jobs.added()[0])) < 300


def test_a_function_that_cannot_be_a_job_is_an_error(postlude_jobs: PostludeJobs) -> None:
    with pytest.raises(NotDurable, match="lambda"):
        postlude_jobs.assert_not_added(lambda: None)
    with pytest.raises(UnknownTask):
        postlude_jobs.added("tests.testing.shop:gone")


def test_arguments_that_do_not_fit_are_an_error(postlude_jobs: PostludeJobs) -> None:
    with pytest.raises(TypeError, match=r"send_receipt: missing a required argument: 'to'; pass \.\.\."):
        postlude_jobs.assert_not_added(send_receipt, 7)


def test_a_record_tells_what_matters(postlude_jobs: PostludeJobs) -> None:
    made = postlude.blocking.add_task(deliver, "p")
    job = postlude_jobs.assert_added(deliver, "p")
    assert (job.id, job.task, job.queue) == (made.id, deliver.name, "default")
    assert (job.args, job.kwargs, job.priority, job.key) == ((), {"parcel": "p"}, 0, None)
    assert (job.due, job.failures, job.error) == (None, 0, None)
    assert job.record.created == (postlude_jobs.now - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e6


def test_a_functions_name_alone_is_looked_for_among_all(postlude_jobs: PostludeJobs) -> None:
    postlude.blocking.add_task(send_receipt, 7, "ada")
    assert postlude_jobs.count("send_receipt") == 1
    assert len(postlude_jobs.added("send_receipt")) == 1
    postlude_jobs.assert_not_added("deliver")
    with pytest.raises(UnknownTask, match="did you mean 'send_receipt'"):
        postlude_jobs.assert_added("send_recept")
    # Like no other: Postludes of other tests in this process may live still, and one of them may have it.
    with pytest.raises(
        UnknownTask, match="'qqqqqq' is not the name of a task; a plain function has one when it has"
    ):
        postlude_jobs.assert_not_added("qqqqqq")


@pytest.mark.parametrize("later", [True, False])
def test_the_advice_is_that_of_the_postlude_that_has_any(postlude_jobs: PostludeJobs, later: bool) -> None:
    others = [Postlude(store="memory", packages=["tests"]) for _ in range(2)]
    others[later].task(lambda: None, name="shop.a:singular")
    with pytest.raises(UnknownTask, match="did you mean 'singular'"):
        postlude_jobs.assert_added("singluar")


def test_a_name_that_several_tasks_have(postlude_jobs: PostludeJobs) -> None:
    again = Postlude(store="memory")

    for name in ("shop.a:twin", "shop.b:twin"):
        again.task(lambda: None, name=name)
    with pytest.raises(
        UnknownTask, match=r"several tasks are called twin; give one of shop\.a:twin, shop\.b:twin"
    ):
        postlude_jobs.of(again).assert_not_added("twin")


def test_an_alias_is_no_second_task(postlude_jobs: PostludeJobs) -> None:
    again = Postlude(store="memory")
    task = again.task(lambda: None, name="shop.a:twin", aliases=["shop.old:twin"])
    again.blocking.add_task(task)
    assert postlude_jobs.of(again).count("twin") == 1
