"""Which jobs of a task count together for a limit that holds per value of an argument."""

import hashlib
import inspect
import json
from collections.abc import Callable
from typing import Any, Final

from postlude.errors import TaskDefinitionError
from postlude.messages.quoting import quoted
from postlude.tasks.codec.payload import Payload
from postlude.tasks.signature import injected_parameters, read_signature

LONGEST: Final = 100
"""Characters of a value that stands for itself; a longer one is told apart by its hash."""


def concurrency_key_of(encoded: Payload, parameter: str, default_of: Callable[[str], Any]) -> str:
    """Return the concurrency key of a call: its value of the parameter, as the journal keeps it.

    A call that leaves it out counts with those that pass its default.

    Args:
        encoded: the call's arguments.
        parameter: whose value it is.
        default_of: gives what the journal would keep of a parameter's default.
    """
    named = encoded.kwargs if encoded.kwargs is not None else json.loads(encoded.payload)["k"]
    value = named[parameter] if parameter in named else default_of(parameter)
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=repr)
    if len(text) > LONGEST:
        return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
    return text


def refuse_unknown(task: str, parameter: str | None, function: Callable[..., Any]) -> None:
    """Make sure that a limit's `per` is an argument that calls of the task pass by name or place.

    Raises:
        TaskDefinitionError: it is not.
    """
    if parameter is None:
        return
    if any(each.name == parameter for each in injected_parameters(function)):
        raise TaskDefinitionError(
            f"{task}: Limit(per={quoted(parameter)}) names what Depends fills when a job runs; "
            "limits count jobs by what their calls pass"
        )
    found = read_signature(function).parameters.get(parameter)
    if found is None or found.kind not in (found.POSITIONAL_OR_KEYWORD, found.KEYWORD_ONLY):
        names = ", ".join(inspect.signature(function).parameters) or "none"
        raise TaskDefinitionError(
            f"{task}: Limit(per={quoted(parameter)}) names no argument of the task; it has {names}"
        )
