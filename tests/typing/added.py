"""What type checkers see of `add_task`: the function's own parameters.

Each ignored line must be an error: mypy (`warn_unused_ignores`) and pyright say so if one is not.
Checked by test_checkers.py and `make types`; never run.
"""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

import functools
from dataclasses import dataclass
from typing import Any, assert_type

from postlude import BackgroundTask, BackgroundTasks, Job, Postlude
from postlude.fastapi import Accepted
from postlude.fastapi import BackgroundTasks as RequestTasks
from postlude.tasks import Registry

registry = Registry()


@dataclass
class Report:
    orders: int


def send(order: int, to: str, *, tenant: str = "none") -> None: ...
async def send_later(order: int, *, to: str) -> str:
    return to


@registry.task
async def declared(order: int, to: str) -> str:
    return to


@registry.task(queue="reports")
async def import_orders(path: str, *, most: int = 0) -> Report:
    return Report(len(path) + most)


@registry.task
def count(path: str) -> int | None:
    return len(path)


class Mail:
    @staticmethod
    def send(to: str) -> None: ...

    async def check(self, to: str) -> bool:
        return bool(to)


tasks = BackgroundTasks()

tasks.add_task(send, 7, "ada")
tasks.add_task(send, 7, to="ada", tenant="acme")
tasks.add_task(send_later, 7, to="ada")
tasks.add_task(declared, 7, "ada")
tasks.add_task(declared, order=7, to="ada")
tasks.add_task(Mail.send, "ada")
tasks.add_task(functools.partial(send, 7), to="ada")
BackgroundTask(send, 7, "ada")
BackgroundTask(declared, 7, to="ada")

tasks.add_task(send, "7", "ada")  # type: ignore[arg-type]
tasks.add_task(send, 7)  # type: ignore[call-arg]
tasks.add_task(send, 7, "ada", "acme")  # type: ignore[call-arg]
tasks.add_task(send, 7, "ada", cc="eve")  # type: ignore[call-arg]
tasks.add_task(send_later, 7, "ada")  # type: ignore[call-arg]
tasks.add_task(declared, "7", "ada")  # type: ignore[arg-type]
tasks.add_task(declared, 7)  # type: ignore[call-arg]
tasks.add_task(declared, 7, t0="ada")  # type: ignore[call-arg]
tasks.add_task(Mail.send, 7)  # type: ignore[arg-type]
tasks.add_task(send(7, "ada"))  # type: ignore[func-returns-value, arg-type]
BackgroundTask(send, "7", "ada")  # type: ignore[arg-type]
BackgroundTask(declared, 7)  # type: ignore[call-arg]


def in_a_request(tasks: RequestTasks) -> Accepted[Report]:
    assert_type(tasks.add_task(import_orders, "orders.csv"), Job[Report])
    assert_type(tasks.add_task(import_orders.using(delay=600), "orders.csv", most=3), Job[Report])
    assert_type(tasks.add_task(count, path="orders.csv"), Job[int | None])
    assert_type(tasks.add_task(count.using(key="a"), "orders.csv"), Job[int | None])
    assert_type(tasks.add_task(send, 7, "ada", tenant="acme"), Job[None])
    assert_type(tasks.add_task(send_later, 7, to="ada"), Job[str])
    assert_type(tasks.add_task(Mail().check, "ada"), Job[bool])
    assert_type(tasks.add_task(functools.partial(send_later, 7), to="ada"), Job[str])

    tasks.add_task(import_orders)  # type: ignore[call-overload]
    tasks.add_task(import_orders, 7)  # type: ignore[call-overload]
    tasks.add_task(import_orders.using(delay=600))  # type: ignore[call-overload]
    tasks.add_task(import_orders.using(delay=600), 7)  # type: ignore[call-overload]
    tasks.add_task(import_orders.using(delay=600), "orders.csv", most="3")  # type: ignore[arg-type]
    tasks.add_task(import_orders.using(delay=600), "orders.csv", least=3)  # type: ignore[call-arg]
    tasks.add_task(send, "7", "ada")  # type: ignore[call-overload]
    import_orders.using(delays=600)  # type: ignore[call-arg]

    assert_type(tasks.accepted(tasks.add_task(count, "orders.csv")), Accepted[int | None])
    tasks.accepted(import_orders)  # type: ignore[arg-type]
    return tasks.accepted(tasks.add_task(import_orders, "orders.csv"))


def of_another_kind(tasks: RequestTasks) -> Accepted[Report]:
    job = tasks.add_task(count, "orders.csv")
    return tasks.accepted(job)  # type: ignore[arg-type]


async def outside_of_requests(postlude: Postlude) -> None:
    job = await postlude.add_task(import_orders, "orders.csv")
    assert_type(job, Job[Report])
    assert_type(await job.result(timeout=60), Report)
    assert_type(await (await postlude.add_task(send_later, 7, to="ada")).result(), str)
    assert_type(await postlude.add_task(count.using(delay=3), "orders.csv"), Job[int | None])
    assert_type(postlude.blocking.add_task(import_orders, "orders.csv"), Job[Report])
    assert_type(postlude.blocking.add_task(send, 7, "ada"), Job[None])
    assert_type(postlude.blocking.result(job, timeout=60), Report)
    assert_type(postlude.blocking.result(job.id), Any)
    postlude.blocking.result(job, "60")  # type: ignore[call-overload]
    postlude.blocking.cancel(7)  # type: ignore[arg-type]
    assert_type(await postlude.add_tasks([import_orders.call("orders.csv")]), list[Job[Any]])
    assert_type(await postlude.job(job.id), Job[Any])
    wider: Job[object] = job
    narrower: Job[int] = job  # type: ignore[assignment]
    assert wider
    assert narrower
    async for snapshot in job.changes():
        assert_type(snapshot.ended, bool)

    await postlude.add_task(import_orders, 7)  # type: ignore[call-overload]
    await postlude.add_task(import_orders.using(delay=3), least=7)  # type: ignore[call-overload]
    postlude.blocking.add_task(send, 7)  # type: ignore[call-overload]
    await job.result("60")  # type: ignore[arg-type]
