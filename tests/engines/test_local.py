"""What an application says of its queues."""

from typing import Any

import pytest

from postlude import Limit, Local, Postlude, Rate
from postlude.clock import SECOND
from postlude.engines.local import checked_queues, limits_of_queues
from postlude.model.limits import DeclaredLimits


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 4}, "Local(limit=4): give Limit(...)"),
        ({"limit": Rate(4)}, "Local(limit=Rate(count=4, per=1.0)): give Limit(...)"),
        ({"rate": 4}, "Local(rate=4): give Rate(...)"),
        ({"rate": Limit(4)}, "Local(rate=Limit(concurrent=4, per=None)): give Rate(...)"),
        (
            {"limit": Limit(4, per="tenant")},
            "Local(limit=Limit(per='tenant')): a queue's jobs are of many tasks; give that limit to the task",
        ),
    ],
)
def test_what_cannot_be_said_of_a_queue(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as raised:
        Local(**options)
    assert str(raised.value) == message


def test_whether_it_is_bounded() -> None:
    assert [
        engine.bounded for engine in (Local(), Local(Limit(1)), Local(rate=Rate(1)), Local(Limit(1), Rate(1)))
    ] == [False, True, True, True]


def test_a_queue_has_an_engine() -> None:
    assert checked_queues(None) == {}
    given = {"mail": Local()}
    assert checked_queues(given) == given
    assert checked_queues(given) is not given
    queues: Any = {"mail": Limit(10)}
    with pytest.raises(ValueError) as raised:
        Postlude(store="memory", queues=queues)
    assert str(raised.value) == (
        "queues={'mail': Limit(concurrent=10, per=None)}: give an engine, Local(...)"
    )


def test_what_the_journal_is_told() -> None:
    queues = {"a": Local(), "b": Local(Limit(4)), "c": Local(rate=Rate(2, per=4))}
    assert limits_of_queues(queues) == [
        DeclaredLimits("queue", "a", None, None, 1),
        DeclaredLimits("queue", "b", 4, None, 1),
        DeclaredLimits("queue", "c", None, 2 * SECOND, 2),
    ]


def test_it_is_told_of_queues_and_tasks() -> None:
    postlude = Postlude(store="memory", queues={"mail": Local(Limit(10))})

    @postlude.task(name="send", limit=Limit(2))
    def send() -> None: ...

    assert postlude.components.bounds() == [
        DeclaredLimits("queue", "mail", 10, None, 1),
        DeclaredLimits("task", "send", 2, None, 1),
    ]
    assert postlude.components.producer.bounded_queues == {"mail"}
