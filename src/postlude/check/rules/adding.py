"""PL001 to PL004: what is added, and with which arguments."""

import ast
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, Final, get_origin
from uuid import UUID

from pydantic import BaseModel

from postlude.check.calls import AddedCall
from postlude.check.finding import Finding, Level
from postlude.check.scope import Known, Local, Scope, Unknown
from postlude.errors import NotDurable, PostludeError
from postlude.tasks.codec.parameter import Field
from postlude.tasks.codec.payload import Limits
from postlude.tasks.codec.precheck import Refused
from postlude.tasks.registry import Registry
from postlude.tasks.remedies import remedy_of_kind
from postlude.tasks.signature import read_parameters, read_signature
from postlude.tasks.task import Task

_NEEDS_ANNOTATION: Final = (
    *(BaseModel, date, time, timedelta, Decimal, Enum, PurePath, UUID, bytes, tuple, set, frozenset),
)
"""Of what endpoints are given: without an annotation of the task's parameter, none comes back as it was."""


class _Unsaid:
    """Stands for an argument whose value the code does not say."""

    def __init__(self, node: ast.expr) -> None:
        self.node = node


def findings(call: AddedCall, registry: Registry) -> Iterator[Finding | Unknown]:
    """Yield what is wrong with one call; `Unknown`, if it is not known what it adds.

    Args:
        call: the call.
        registry: the application's tasks.
    """
    function, args, keywords = _taken_apart(call)
    meaning = call.scope.meaning(function)
    if isinstance(meaning, Unknown):
        yield meaning
        return
    if isinstance(meaning, Local):
        yield _in_memory(call, f"{meaning.what}, which no other process can import", _AT_MODULE_LEVEL)
        return
    if not callable(meaning.value):
        yield Unknown("it stands for no function yet")
        return
    try:
        task, before, named = registry.call(meaning.value, (), {})
    except NotDurable as error:
        yield _in_memory(call, str(error), "")
        return
    yield from _arguments(call, task, (before, named), args, keywords, registry.limits)


_AT_MODULE_LEVEL: Final = "write a def at module level, and pass what it needs as arguments"


def _in_memory(call: AddedCall, why: str, remedy: str) -> Finding:
    what = "this call raises" if call.strict else "runs in memory only, and is lost with the process"
    level = Level.ERROR if call.strict else None
    return _at(call, call.function, "PL001", f"{what}: {why}", remedy, level)


def _at(
    call: AddedCall, node: ast.expr, rule: str, says: str, remedy: str, level: Level | None = None
) -> Finding:
    return Finding(rule, says, remedy, call.scope.source.file, node.lineno, node.col_offset + 1, level)


def _taken_apart(call: AddedCall) -> tuple[ast.expr, Sequence[ast.expr], Sequence[ast.keyword]]:
    """Return what is added and its arguments; a `partial(...)` that stands there is taken apart."""
    match call.function:
        case ast.Call(func=maker, args=[inner, *first], keywords=named) if not isinstance(inner, ast.Starred):
            made_by = call.scope.meaning(maker)
            if isinstance(made_by, Known) and made_by.value is functools.partial:
                names = {each.arg for each in call.keywords}
                kept = [each for each in named if each.arg not in names or each.arg is None]
                return inner, [*first, *call.args], [*kept, *call.keywords]
    return call.function, call.args, call.keywords


def _arguments(
    call: AddedCall,
    task: Task[..., Any],
    given: tuple[tuple[Any, ...], dict[str, Any]],
    args: Sequence[ast.expr],
    keywords: Sequence[ast.keyword],
    limits: Limits,
) -> Iterator[Finding | Unknown]:
    if any(isinstance(arg, ast.Starred) for arg in args) or any(each.arg is None for each in keywords):
        yield Unknown("its arguments are in a list or a dict")
        return
    try:
        codec = task.codec
        unnamed, named = codec.bind(
            (*given[0], *map(_said, args)),
            {**given[1], **{str(each.arg): _said(each.value) for each in keywords}},
        )
    except TypeError as error:  # also NotDurable
        rule = "PL001" if isinstance(error, NotDurable) else "PL003"
        yield _at(call, call.node, rule, str(error), "", None if rule == "PL001" else Level.ERROR)
        return
    except PostludeError:
        return  # of the declaration: PL002 tells it there
    for field, label, value in (*unnamed, *named):
        yield from _argument(call, task, field, label, value, limits)


def _said(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _Unsaid(node)


def _argument(
    call: AddedCall, task: Task[..., Any], field: Field, label: str, value: Any, limits: Limits
) -> Iterator[Finding]:
    if not isinstance(value, _Unsaid):
        try:
            field.encode(value, limits)
        except Refused as refused:
            told = f"{task.name}: argument {label + refused.place!r} {refused.reason}"
            yield _kept(call, task, call.node, "PL003", told)
        return
    kind = _kind(call.scope, value.node)
    if kind is None:
        return
    told_of_kind = remedy_of_kind(kind)
    if told_of_kind is not None:
        yield _kept(call, task, value.node, "PL001", f"{task.name}: argument {label!r} {told_of_kind}")
    elif field.free and (issubclass(kind, _NEEDS_ANNOTATION) or dataclasses.is_dataclass(kind)):
        yield _kept(
            call,
            task,
            value.node,
            "PL004",
            f"{task.name}: argument {label!r} is a {kind.__name__}, and the parameter has no annotation that "
            f"says so; write {label}: {kind.__name__}",
        )


def _kept(call: AddedCall, task: Task[..., Any], node: ast.expr, rule: str, told: str) -> Finding:
    """Return a finding about an argument that is not kept: what then happens to the task."""
    if call.strict or not task.plain:
        return _at(call, node, rule, f"this call raises: {told}", "", Level.ERROR)
    return _at(call, node, rule, f"runs in memory only: {told}", "", Level.WARNING)


def _kind(scope: Scope, node: ast.expr) -> type | None:
    """Return the class of an argument that is a parameter of the function around, by its annotation."""
    if not isinstance(node, ast.Name):
        return None
    found = scope.annotation(node.id)
    found = get_origin(found) or found
    return found if isinstance(found, type) else None


def of_declared(task: Task[..., Any]) -> Iterator[Finding]:
    """Yield the parameters of a declared task that no argument can be kept for (PL002)."""
    function: Any = task.function
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None)
    place = (None, None) if code is None else (Path(code.co_filename), code.co_firstlineno)
    try:
        parameters = read_parameters(task.function, read_signature(task.function))
    except ValueError:
        return
    for parameter in parameters:
        if parameter.depends is not None or not parameter.required:
            continue
        kind = parameter.annotation
        told = remedy_of_kind(kind) if isinstance(kind, type) else None
        if parameter.problem is not None:
            told = parameter.problem
        if told is not None:
            says = f"{task.name}: parameter {parameter.name!r} {told}"
            yield Finding("PL002", f"each call of it raises: {says}", "", *place)
