"""The places in the code where tasks are added."""

import ast
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from starlette.background import BackgroundTask, BackgroundTasks

from postlude.app.postlude import Postlude
from postlude.check.scope import FunctionNode, Known, Meaning, Scope, Unknown
from postlude.check.source import Source
from postlude.enqueue.blocking import Blocking

ADD: Final = "add_task"


class AddedCall(NamedTuple):
    """A call that adds a task."""

    scope: Scope
    node: ast.Call
    function: ast.expr
    """What is added."""
    args: Sequence[ast.expr]
    keywords: Sequence[ast.keyword]
    strict: bool
    """Whether what has no durable form raises there, and does not run in memory."""


class Puzzle(NamedTuple):
    """A call of something called `add_task`, on what is not known."""

    source: Source
    node: ast.Call
    why: str


def functions(source: Source) -> Iterator[Scope]:
    """Yield the module itself and each function in it, with what lies around."""
    yield Scope(source)
    yield from _functions(source, source.tree, (), None)


def _functions(
    source: Source, node: ast.AST, around: tuple[FunctionNode, ...], owner: type | None
) -> Iterator[Scope]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = (*around, child)
            yield Scope(source, inside, owner)
            yield from _functions(source, child, inside, None)
        elif isinstance(child, ast.ClassDef):
            found = source.names.get(child.name) if not around and owner is None else None
            yield from _functions(source, child, around, found if isinstance(found, type) else None)
        else:
            yield from _functions(source, child, around, owner)


def added_calls(source: Source) -> Iterator[AddedCall | Puzzle]:
    """Yield the calls in a module that add tasks, and those of which it is not known whether they do."""
    for scope in functions(source):
        body = scope.functions[-1] if scope.functions else source.tree
        for node in own_nodes(body):
            if isinstance(node, ast.Call):
                found = _added(scope, node)
                if found is not None:
                    yield found


def own_nodes(body: ast.AST) -> Iterator[ast.AST]:
    """Yield what is in a function or module, in order, and not in functions that are defined in it."""
    waiting = list(ast.iter_child_nodes(body))
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting[:0] = ast.iter_child_nodes(node)


def _added(scope: Scope, node: ast.Call) -> AddedCall | Puzzle | None:
    match node.func:
        case ast.Attribute(value=receiver, attr=attr) if attr == ADD:
            kind = _kind(scope, receiver)
            if isinstance(kind, Unknown):
                return Puzzle(scope.source, node, kind.why)
            strict = _strictness(kind)
        case ast.Name() | ast.Attribute():
            made = scope.meaning(node.func)
            if not (isinstance(made, Known) and made.value is BackgroundTask):
                return None
            strict = False
        case _:
            return None
    if strict is None:
        return None
    function, args, keywords = _function(node)
    if function is None:
        return Puzzle(scope.source, node, "what is added is in a list of arguments")
    return AddedCall(scope, node, function, args, keywords, strict)


def _function(node: ast.Call) -> tuple[ast.expr | None, Sequence[ast.expr], Sequence[ast.keyword]]:
    if node.args:
        first, *rest = node.args
        return None if isinstance(first, ast.Starred) else first, rest, node.keywords
    named = [keyword for keyword in node.keywords if keyword.arg == "func"]
    others = [keyword for keyword in node.keywords if keyword.arg != "func"]
    return (named[0].value if named else None), (), others


def _kind(scope: Scope, receiver: ast.expr) -> type | Unknown:
    """Return the class of what a method is called on."""
    if isinstance(receiver, ast.Name):
        annotated = scope.annotation(receiver.id)
        if isinstance(annotated, type):
            return annotated
        match scope.binding(receiver.id):
            case [ast.Assign(value=ast.Call(func=maker))]:
                made = scope.meaning(maker)
                if isinstance(made, Known) and isinstance(made.value, type):
                    return made.value
    match receiver:
        case ast.Call(func=ast.Attribute(value=joins, attr="within")):
            whose = _kind(scope, joins)
            if isinstance(whose, Unknown) or issubclass(whose, Postlude | BackgroundTasks):
                return whose if isinstance(whose, Unknown) else Postlude  # what cannot be kept raises there
    found: Meaning = scope.meaning(receiver)
    if isinstance(found, Known):
        return type(found.value)
    if isinstance(receiver, ast.Attribute) and receiver.attr == "blocking":
        owner = _kind(scope, receiver.value)
        if isinstance(owner, type) and issubclass(owner, Postlude):
            return Blocking
    return found if isinstance(found, Unknown) else Unknown("a function")


def _strictness(kind: type) -> bool | None:
    """Return whether tasks that are added to this are durable or refused; None: it is not about tasks."""
    if issubclass(kind, Postlude | Blocking):
        return True
    if issubclass(kind, BackgroundTasks):
        return kind.__module__.partition(".")[0] == "postlude"
    return None


def as_object(meaning: Meaning) -> Any:
    """Return the object that an expression stands for; None: it is not known."""
    return meaning.value if isinstance(meaning, Known) else None
