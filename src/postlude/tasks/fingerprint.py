"""What tells one release of a task from another, as far as stored arguments are concerned."""

import hashlib
import re
from collections.abc import Callable
from typing import Any

from postlude.tasks.codec.parameter import Field, shown
from postlude.tasks.signature import Parameter, read_parameters, read_signature

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def fingerprint(function: Callable[..., Any]) -> str:
    """Return a short text that changes when other arguments may fit the function.

    It is the same in every process of one release. It covers names, kinds, annotations and, through
    their schema, the fields of models; not the code of validators, nor what `Depends` fills.
    """
    try:
        parameters = read_parameters(function, read_signature(function))
    except ValueError:
        parameters = ()
    parts = [_describe(parameter) for parameter in parameters if parameter.depends is None]
    return hashlib.blake2b("\n".join(parts).encode("utf-8", "replace"), digest_size=8).hexdigest()


def _describe(parameter: Parameter) -> str:
    return f"{parameter.name} {parameter.kind.name} {parameter.required} {_schema(parameter)}"


def _schema(parameter: Parameter) -> str:
    field = Field(parameter)
    if field.exact or field.free or parameter.problem:
        return shown(parameter.annotation)
    annotation = _ADDRESS.sub("", shown(parameter.annotation))
    try:
        return f"{annotation} {field.adapter().json_schema()}"
    except Exception:
        return annotation
