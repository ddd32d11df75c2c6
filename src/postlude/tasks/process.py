"""Which functions can run in a process of their own, and how they are found there.

Another process knows a function by its module and its place in it, nothing else: so only functions
at module level, whose name there leads to the task or to the function itself.
"""

import inspect
from types import FunctionType, ModuleType
from typing import Any

from postlude.errors import NotDurable
from postlude.tasks.codec.payload import Limits
from postlude.tasks.names import describe, name_of
from postlude.tasks.policy import Policy
from postlude.tasks.task import Task
from postlude.tasks.wrapping import gives_awaitable

_ANY: Limits = Limits(2**62, 180)
"""What is decoded there was within the limits when it was stored."""


def why_not_in_process(function: Any) -> str | None:
    """Say why a function cannot be declared with `run="process"`, and the remedy; None: it can.

    Args:
        function: what is declared.
    """
    what = describe(function)
    reason: str | None = None
    if gives_awaitable(function):
        reason = "is async; it runs on the loop, so leave run= out, or make it a def"
    elif inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        reason = "is a generator, and calling it runs nothing; write a def that uses it up"
    elif type(function) is not FunctionType:
        reason = "is not a plain function, and another process could not find it; write a def around it"
    elif "<lambda>" in function.__qualname__:
        reason = "is a lambda, which another process could not find; write a def at module level"
    elif "<locals>" in function.__qualname__:
        reason = "is defined inside a function; another process could not find it, so move it to module level"
    elif "." in function.__qualname__:
        reason = "is defined in a class; write a def at module level that calls it"
    else:
        try:
            name_of(function)
        except NotDurable as error:
            return str(error)
    return None if reason is None else f"{what} {reason}"


def place_of(task: Task[..., Any]) -> tuple[str, str]:
    """Return the module and the place in it by which another process finds a task's function.

    Raises:
        NotDurable: it has none.
    """
    module, _, place = name_of(task.function).partition(":")
    return module, place


def task_at(module: ModuleType, place: str, name: str) -> Task[..., Any]:
    """Return the task that a module has in a place.

    A function that was made a task under another name there (`later = postlude.task(work)`) is
    found as that task. One that was made a task in another module is found as a function, with the
    default policy.

    Args:
        module: the module, imported.
        place: the function's own name.
        name: what the task is called.

    Raises:
        LookupError: there is no such function.
    """
    found = inspect.getattr_static(module, place, None)
    found = inspect.unwrap(found, stop=_is_task) if callable(found) else None
    if isinstance(found, Task):
        return found
    if type(found) is not FunctionType:
        raise LookupError(f"{module.__name__} has no function {place!r}")
    for other in vars(module).values():
        if isinstance(other, Task) and other.function is found and other.base is None:
            return other
    return Task(found, name, _ANY, Policy())


def _is_task(found: Any) -> bool:
    return isinstance(found, Task)
