"""What an application says of its queues."""

from typing import Any

import pytest

from postlude import Limit, Local, Rate


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 4}, "Local(limit=4): give Limit(...)"),
        ({"limit": Rate(4)}, "Local(limit=Rate(count=4, per=1.0)): give Limit(...)"),
        ({"rate": 4}, "Local(rate=4): give Rate(...)"),
        *(
            ({"concurrency": wrong}, f"Local(concurrency={wrong!r}): give a whole number, 1 or more")
            for wrong in (0, -1, 1.5, True, "4")
        ),
        ({"run": "process"}, 'Local(run=\'process\'): give "everywhere" or "workers"'),
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
