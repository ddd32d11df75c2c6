"""What a function returns, as JSON: by its return annotation, through pydantic.

The rules are those of arguments: what would not come back equal is not kept. Which fields of a model
were set is not kept either, because what is written here is what people and clients read.
"""

import inspect
import typing
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from pydantic_core import from_json

from postlude.errors import InvalidResult
from postlude.model.event.request import ResultDropped
from postlude.tasks.codec.parameter import Field
from postlude.tasks.codec.payload import Limits
from postlude.tasks.codec.precheck import Refused
from postlude.tasks.signature import Parameter, read_signature, resolve
from postlude.telemetry.process import EVENTS

_RESULT: Final = "result"
_AWAITABLES: Final = frozenset({Awaitable, Coroutine})
_NOT_KEPT: Final = (None, False)
_DROPPED: Final = (None, True)


class Results:
    """The codec of what one function returns.

    Args:
        name: the task's.
        function: the function.
        is_async: what it returns is what awaiting it gives.
        plain: it is not declared as a task: who wrote it may not know that anybody keeps what it returns.
        limits: what a result may not exceed.
    """

    def __init__(
        self, name: str, function: Callable[..., Any], limits: Limits, *, is_async: bool, plain: bool
    ) -> None:
        self._name = name
        self._plain = plain
        self._limits = Limits(limits.result, limits.depth, limits.result)
        returned = read_return(function, is_async=is_async)
        self._field = Field(returned)
        self._quiet = plain and not returned.required
        self._warned = False

    def encode(self, value: Any) -> tuple[bytes | None, bool]:
        """Return a value as JSON, and whether it had to be dropped."""
        try:
            text = self._field.encode(value, self._limits)[0]
        except Refused as refused:
            # Without its remedy, which is for arguments.
            return self._drop(refused.place, refused.reason.partition(";")[0])
        except Exception as error:  # of the value's own code
            return self._drop("", f"cannot be looked at ({type(error).__name__})")
        if len(text) > self._limits.result:
            return self._drop("", f"needs {len(text):,} bytes and the limit is {self._limits.result:,}")
        return text, False

    def decode(self, data: bytes) -> Any:
        """Return the value that JSON stands for.

        Raises:
            InvalidResult: it does not fit the annotation, or is no JSON.
        """
        try:
            return self._field.decode(from_json(data))
        except Refused as refused:
            raise InvalidResult(
                f"{self._name}: what it returned{refused.place} {refused.reason}; "
                f"postlude.inspector.get(id) shows it as JSON"
            ) from None
        except ValueError:
            raise InvalidResult(f"{self._name}: what is stored of its result is not JSON") from None

    def _drop(self, place: str, reason: str) -> tuple[bytes | None, bool]:
        if self._quiet:
            return _NOT_KEPT
        if not self._plain and not self._warned:
            self._warned = True
            EVENTS.emit(ResultDropped(self._name, place, reason))
        return _DROPPED


def read_return(function: Callable[..., Any], *, is_async: bool) -> Parameter:
    """Return what a function returns, as if it were a parameter; `required` if it is annotated.

    Args:
        function: the function.
        is_async: it is called and awaited; then this is what awaiting gives.
    """
    try:
        written = read_signature(function).return_annotation
    except ValueError:  # a built-in function
        written = inspect.Signature.empty
    kind = inspect.Parameter.KEYWORD_ONLY
    if written is inspect.Signature.empty:
        return Parameter(_RESULT, kind, Any, False, None)
    alone = inspect.Signature([inspect.Parameter(_RESULT, kind, annotation=written)])
    hints, problems = resolve(function, alone)
    hint = hints.get(_RESULT, Any)
    if is_async and typing.get_origin(hint) in _AWAITABLES:
        hint = typing.get_args(hint)[-1]
    return Parameter(_RESULT, kind, hint, True, problems.get(_RESULT))
