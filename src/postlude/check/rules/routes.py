"""PL005 and PL006: what routes do beside their tasks."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any, Final

from starlette.background import BackgroundTasks
from starlette.responses import Response

from postlude.check.calls import as_object, functions, own_nodes
from postlude.check.finding import Finding
from postlude.check.scope import FunctionNode, Scope
from postlude.check.source import Source

_COMMITS: Final = (
    "jobs are stored before the response, and may run before this commit; commit in the endpoint, or give "
    'the dependency scope="function" (FastAPI 0.121)'
)


def late_commits(application: Any) -> Iterator[Finding]:
    """Yield the dependencies that commit after the response of a route that has tasks (PL005).

    Args:
        application: a FastAPI application; nothing is found in others.
    """
    try:
        from postlude.frameworks.fastapi.internals import outliving, tasks_annotations
        from postlude.frameworks.fastapi.routes import dependants
    except ImportError:
        return
    seen: set[CodeType] = set()
    for dependant in dependants(application):
        if next(tasks_annotations(dependant), None) is None:
            continue
        for call in outliving(dependant):
            code = _code(call)
            if code is None or code in seen:
                continue
            seen.add(code)
            line = _late_commit(call)
            if line is not None:
                endpoint = getattr(dependant.call, "__qualname__", "a route")
                says = f"it commits after the response of {endpoint}, which adds tasks"
                yield Finding("PL005", says, _COMMITS, Path(code.co_filename), line)


def _code(call: Any) -> CodeType | None:
    function = inspect.unwrap(call)
    code = getattr(function, "__code__", None)
    generates = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    return code if generates and isinstance(code, CodeType) else None


def _late_commit(call: Any) -> int | None:
    """Return the line of a commit after the `yield` of a generator; None: there is none to be seen."""
    function = inspect.unwrap(call)
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError, TypeError):
        return None
    after = False
    for node in own_nodes(tree.body[0]):
        after = after or isinstance(node, ast.Yield)
        late = after and isinstance(node, ast.Call) and _calls(node, "commit")
        if isinstance(node, ast.stmt | ast.expr) and (late or _commits_at_its_end(node)):
            return first + node.lineno - 1
    return None


def _commits_at_its_end(node: ast.AST) -> bool:
    """Whether this is a block of a transaction, which holds the `yield`."""
    if not isinstance(node, ast.With | ast.AsyncWith):
        return False
    begins = any(_calls(item.context_expr, "begin") for item in node.items)
    return begins and any(isinstance(inner, ast.Yield) for inner in ast.walk(node))


def _calls(node: ast.AST, name: str) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr=attr)):
            return attr == name
    return False


def own_backgrounds(source: Source) -> Iterator[Finding]:
    """Yield the responses that bring tasks of their own, where the function is given some too (PL006)."""
    for scope in functions(source):
        if not scope.functions or not _is_given_tasks(scope, scope.functions[-1]):
            continue
        for node in own_nodes(scope.functions[-1]):
            if isinstance(node, ast.Call) and _is_response_with_background(scope, node):
                says = "the tasks of this response run, and those that the function was given too"
                remedy = "FastAPI alone would run the response's only; add all of them to one"
                yield Finding("PL006", says, remedy, source.file, node.lineno, node.col_offset + 1)


def _is_response_with_background(scope: Scope, node: ast.Call) -> bool:
    if not any(each.arg == "background" for each in node.keywords):
        return False
    made = as_object(scope.meaning(node.func))
    return isinstance(made, type) and issubclass(made, Response)


def _is_given_tasks(scope: Scope, function: FunctionNode) -> bool:
    arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    kinds = [scope.annotation(each.arg) for each in arguments]
    return any(isinstance(kind, type) and issubclass(kind, BackgroundTasks) for kind in kinds)
