"""PL010: what an application of Celery's does that Postlude does otherwise; for who moves from there."""

import ast
import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from postlude.check.calls import functions, own_nodes
from postlude.check.finding import Finding
from postlude.check.scope import Known, Scope
from postlude.check.source import Source

_COME_ALONG: Final = ("celery.", "postlude.")
"""How names of tasks begin that are of nobody's own: they come with Celery, and with `CeleryEngine(app=)`."""

_WAITS: Final = frozenset({"delay", "apply_async"})


def of_celery(app: Any, sources: Sequence[Source]) -> Iterator[Finding]:
    """Yield what is otherwise, each with what to write here.

    Args:
        app: the application of Celery's. To look at its tasks makes them, as its worker does.
        sources: the modules that are looked through for calls.
    """
    tasks = [task for name, task in sorted(app.tasks.items()) if not name.startswith(_COME_ALONG)]
    for task in tasks:
        yield from _of_task(task)
    kinds = tuple({type(task) for task in tasks})
    for source in sources:
        for scope in functions(source):
            yield from _of_calls(scope, kinds, _visibility(app))


def _of_task(task: Any) -> Iterator[Finding]:
    file, line = _place(task)
    if inspect.ismethod(task.run):
        remedy = "take a plain function: current_job() has the id and the attempt, RetryLater retries"
        yield Finding("PL010", f"{task.name} is bound to its task, `self`", remedy, file, line)
    if not task.acks_late:
        remedy = 'make it safe to repeat, or declare it with delivery="at_most_once"'
        says = f"{task.name} is acknowledged before it runs; here a job that was cut short runs again"
        yield Finding("PL010", says, remedy, file, line)
    if task.serializer != "json":
        remedy = "annotate its parameters: arguments are JSON, and come back by their annotations"
        yield Finding(
            "PL010", f"arguments of {task.name} are written as {task.serializer}", remedy, file, line
        )


def _place(task: Any) -> tuple[Path | None, int | None]:
    code = getattr(inspect.unwrap(task.run), "__code__", None)
    return (Path(code.co_filename), code.co_firstlineno) if code is not None else (None, None)


def _visibility(app: Any) -> float | None:
    """Return after how many seconds the broker hands out again what is not acknowledged; None: never."""
    transport = str(app.conf.broker_url or "").partition(":")[0]
    if transport not in ("redis", "rediss", "sentinel"):
        return None
    return float((app.conf.broker_transport_options or {}).get("visibility_timeout", 3600))


def _of_calls(scope: Scope, kinds: tuple[type, ...], visible: float | None) -> Iterator[Finding]:
    import celery

    body = scope.functions[-1] if scope.functions else scope.source.tree
    in_task = bool(scope.functions) and _is_task(scope.source.names.get(scope.functions[0].name), kinds)
    for node in own_nodes(body):
        if not isinstance(node, ast.Call):
            continue
        place = scope.source.file, node.lineno, node.col_offset + 1
        made = scope.meaning(node.func)
        if isinstance(made, Known) and made.value is celery.chord:
            remedy = "there is no chord: let the last step add the next, or count what has ended in the data"
            yield Finding("PL010", "a chord", remedy, *place)
        elif in_task and _is_get(scope, node, kinds):
            remedy = "let the other task add what comes next: a job that waits for one keeps its slot"
            yield Finding("PL010", "a task waits for the result of another", remedy, *place)
        elif (
            visible is not None
            and (seconds := _countdown(scope, node, kinds)) is not None
            and seconds > visible
        ):
            says = f"countdown={seconds:g}: after {visible:g} s (visibility_timeout) it is delivered again"
            yield Finding("PL010", says, f"using(delay={seconds:g}): once, however long it is", *place)


def _is_task(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) if kinds else False


def _sends(scope: Scope, node: ast.expr, kinds: tuple[type, ...]) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=task, attr=attr)) if attr in _WAITS:
            found = scope.meaning(task)
            return isinstance(found, Known) and _is_task(found.value, kinds)
    return False


def _is_get(scope: Scope, node: ast.Call, kinds: tuple[type, ...]) -> bool:
    return (
        isinstance(node.func, ast.Attribute)
        and node.func.attr == "get"
        and _sends(scope, node.func.value, kinds)
    )


def _countdown(scope: Scope, node: ast.Call, kinds: tuple[type, ...]) -> float | None:
    if not _sends(scope, node, kinds):
        return None
    for keyword in node.keywords:
        match keyword:
            case ast.keyword(arg="countdown", value=ast.Constant(value=int() | float() as seconds)):
                return float(seconds)
    return None
