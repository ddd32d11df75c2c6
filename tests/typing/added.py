"""What type checkers see of `add_task`: the function's own parameters.

Each ignored line must be an error: mypy (`warn_unused_ignores`) and pyright say so if one is not.
Checked by test_checkers.py and `make types`; never run.
"""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

import functools

from postlude import BackgroundTask, BackgroundTasks
from postlude.tasks import Registry

registry = Registry()


def send(order: int, to: str, *, tenant: str = "none") -> None: ...
async def send_later(order: int, *, to: str) -> str:
    return to


@registry.task
async def declared(order: int, to: str) -> str:
    return to


class Mail:
    @staticmethod
    def send(to: str) -> None: ...


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
