"""What type checkers see of tasks.

Each ignored line must be an error: mypy (`warn_unused_ignores`) and pyright say so if one is not.
Checked by test_checkers.py and `make types`; never run.
"""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

import asyncio
import os
from collections.abc import Coroutine
from typing import Annotated, Any, assert_type

from fastapi import Depends

from postlude import Config, Postlude, Retry, injected
from postlude.tasks import Registry, Task

registry = Registry()


@registry.task
async def send(order: int, to: str, *, tenant: str = "none") -> str:
    return f"{order} {to} {tenant}"


@registry.task(queue="mail", on_failure=True)
def audit(entry: str) -> int:
    return len(entry)


remove = registry.task(os.remove)


class Session: ...


def get_session() -> Session:
    return Session()


@registry.task
async def import_orders(path: str, session: Session = Depends(get_session)) -> int:
    return len(path)


@registry.task
async def export_orders(path: str, session: Annotated[Session, Depends(get_session)]) -> int:
    return len(path)


SessionDep = Annotated[Session, Depends(get_session)]


@registry.task
async def settle_orders(path: str, session: SessionDep = injected, *, most: int = 7) -> int:
    return len(path)


def user(name: str) -> str:
    return name


def owned() -> None:
    settle_orders.using(owner="ada").using(owner=None).call("x")
    settle_orders.using(owner=7)  # type: ignore[arg-type]
    registry.task(owner="billing")
    registry.task(owner=7)  # type: ignore[call-overload]
    postlude = Postlude(owner=user)
    postlude.router(owner=user, prefix="/jobs")
    Postlude(owner="ada")  # type: ignore[arg-type]
    postlude.router(owner="ada")  # type: ignore[arg-type]


async def filled_by_depends() -> None:
    settle_orders.call("x", most=3)
    settle_orders.using(key=None, delay=None, at=None).call("x")
    assert_type(await settle_orders("x", Session()), int)
    settle_orders.call("x", "y")  # type: ignore[arg-type]
    settle_orders.call()  # type: ignore[call-arg]
    import_orders.call("x")
    assert_type(await import_orders("x", session=Session()), int)
    assert_type(await export_orders("x", Session()), int)

    import_orders.call("x", session="y")  # type: ignore[arg-type]
    # Only by default: checkers do not know what an annotation's `Depends` fills.
    export_orders.call("x")  # type: ignore[call-arg]


async def direct_calls() -> None:
    assert_type(await send(7, "ada"), str)
    later = send(7, to="ada", tenant="acme")
    expected: Coroutine[Any, Any, str] = later
    assert_type(await expected, str)
    assert_type(audit("x"), int)
    await asyncio.gather(send(7, "ada"))
    remove("/tmp/x")

    send(7, "ada")  # type: ignore[unused-coroutine]
    await send("7", "ada")  # type: ignore[arg-type]
    await send(7)  # type: ignore[call-arg]
    await send(7, "ada", cc="eve")  # type: ignore[call-arg]
    await send(7, "ada", "acme")  # type: ignore[call-arg]
    audit(1)  # type: ignore[arg-type]
    audit()  # type: ignore[call-arg]
    remove(None)  # type: ignore[arg-type]


def attributes() -> None:
    assert_type(send.name, str)
    assert_type(send.is_async, bool)
    assert_type(audit.function("x"), int)
    task: Task[[str], int] = audit
    other: Task[[int], int] = audit  # type: ignore[assignment]
    assert task
    assert other


def of_other_queues(postlude: Postlude) -> None:
    send.delay(7, "ada")  # type: ignore[attr-defined]
    send.apply_async((7, "ada"), countdown=60)  # type: ignore[attr-defined]
    audit.s("x")  # type: ignore[attr-defined]
    postlude.enqueue(send, 7, "ada")  # type: ignore[attr-defined]
    Retry(max_retries=3)  # type: ignore[call-arg]
    Config(grase=5)  # type: ignore[call-arg]
    Postlude(stoer="memory")  # type: ignore[call-arg]
    registry.task(max_retries=3)  # type: ignore[call-overload]
    registry.task(retry=3)  # type: ignore[call-overload]
    assert_type(Retry(attempts=3), Retry)
    assert_type(Config(grace=5), Config)


def declarations() -> None:
    registry.task(7)  # type: ignore[call-overload]
    registry.task(send.function, queue=7)  # type: ignore[call-overload]
    registry.task(nam="x")  # type: ignore[call-overload]
    Registry(delivery="exactly_once")  # type: ignore[arg-type]
