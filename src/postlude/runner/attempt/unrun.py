"""What a function returned instead of running it: nobody awaits it, and nothing of it has run."""

import inspect
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Final

from postlude.compat import is_future
from postlude.jobs.current import Noted

_GENERATORS: Final = (GeneratorType, AsyncGeneratorType)


def refuse_unrun(name: str, value: Any, *, on_loop: bool = False) -> None:
    """Let a function fail that returned what is still to be run, and do nothing for any other value.

    Args:
        name: the task's.
        value: what its function returned.
        on_loop: the function ran on the event loop; then futures and tasks are under way there.

    Raises:
        TypeError: the value is a coroutine, another awaitable, or a generator that nobody has begun.
    """
    kind = type(value)
    if kind is CoroutineType:
        value.close()
        what = "a coroutine"
    elif kind in _GENERATORS:
        if not _has_begun(value):
            raise TypeError(
                f"{name} returned a generator, of which nothing has run; write a def that uses it up"
            )
        return
    elif kind is Noted or not hasattr(kind, "__await__") or (on_loop and is_future(kind)):
        return
    else:
        what = f"an awaitable ({kind.__qualname__})"
    how = f"returned {what} and did not await it; await it there"
    if not on_loop:
        how = f"is not async but returned {what}; await it inside an async def"
    raise TypeError(f"{name} {how}")


def _has_begun(generator: Any) -> bool:
    """Whether it was begun, as far as it tells; an expression is a value, whatever the function has done."""
    if isinstance(generator, GeneratorType):
        begun, code = inspect.getgeneratorstate(generator) != inspect.GEN_CREATED, generator.gi_code
    else:
        begun, code = generator.ag_frame is None, generator.ag_code
    return begun or code.co_name == "<genexpr>"
