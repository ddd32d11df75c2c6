"""What a worker's process is told at its start, and which applications have jobs for it."""

import pytest

from postlude import Local, Postlude
from postlude.app.runnable import NothingToRun, checked
from postlude.model.queues import ALL, only
from postlude.model.role import Role
from postlude.worker.orders import Orders
from postlude.worker.process import say_unknown


def test_orders_are_written_and_read() -> None:
    orders = Orders("main:postlude", "/srv/ü", ("mail", "b,c"), 4, 1.5, 100, 2**40)
    assert Orders.read(orders.text()) == orders
    assert orders.role == Role(True, only({"mail", "b,c"}), 4, 1.5)
    assert Orders("main:postlude", "/").role == Role(True, ALL)


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ("off", "this Postlude is off (POSTLUDE_STORE=off): it stores no jobs that could be run"),
        (
            "memory",
            "the journal is in this process's memory, where nobody else adds jobs: give the application "
            "and its workers one that they share, with store= or POSTLUDE_STORE",
        ),
    ],
)
def test_where_no_job_can_be_run_no_worker_starts(store: str, message: str) -> None:
    with pytest.raises(NothingToRun) as raised:
        checked(Postlude(store=store))
    assert str(raised.value) == message


def test_a_queue_that_nothing_names_is_told(caplog: pytest.LogCaptureFixture) -> None:
    postlude = Postlude(store="memory", queues={"slow": Local()})

    @postlude.task(queue="mail")
    def send() -> None: ...

    say_unknown(postlude, Orders("m:p", "/", ("mail", "slow", "default")))
    assert not caplog.messages
    say_unknown(postlude, Orders("m:p", "/", ("mail", "mial")))
    assert caplog.messages == [
        "no declared task has the queue mial, nor does the application describe it; there are: default, "
        "mail, slow"
    ]
