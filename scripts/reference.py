"""Writes docs/reference.md from the docstrings of the code: `python scripts/reference.py`."""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, get_args

from postlude import config, errors
from postlude.app import postlude as app
from postlude.dashboard import access
from postlude.engines import local
from postlude.jobs import view
from postlude.model import limits as policy
from postlude.model import retry, state
from postlude.tasks import options
from postlude.tasks.registry import Registry

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference.md"
PUBLIC = ROOT / "tests" / "architecture" / "public_names.txt"

WIRING = frozenset({"begin", "components", "drain", "look_in", "start", "verify", "work_with"})
"""Methods of a Postlude that servers, lifespans and tests call."""

DOES_HEAD = """\
Those that ask the journal are awaited; `postlude.blocking` has the same for sync code. Docstrings have the
parameters, and what each raises.
"""
NAMES_HEAD = "What may be imported; all else may change with any release. Errors follow below."

HEAD = """\
# Reference

Written from the docstrings of the code by `python scripts/reference.py`. [Policy](policy.md) explains tasks
and their options, [Testing](testing.md) the fixture.
"""


def fields_of(module: ModuleType, name: str) -> Iterator[tuple[str, str]]:
    """Return the annotated names of a class, each with the text that follows it; empty where none does."""
    (found,) = (
        node
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.ClassDef) and node.name == name
    )
    for here, after in zip(found.body, [*found.body[1:], None], strict=True):
        match here:
            case ast.AnnAssign(target=ast.Name(id=field)) | ast.Assign(targets=[ast.Name(id=field)]):
                match after:
                    case ast.Expr(value=ast.Constant(value=str(text))):
                        yield field, " ".join(text.split())
                    case _:
                        yield field, ""


def summary(thing: Any) -> str:
    """Return the first paragraph of a docstring, in one line."""
    return " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())


def section(thing: Any, head: str) -> Iterator[tuple[str, str]]:
    """Return what a docstring says of each name of one of its sections: `Args`, `Attributes`."""
    lines = (inspect.getdoc(thing) or "").partition(f"{head}:\n")[2].partition("\n\n")[0]
    entries = textwrap.dedent(lines).replace("\n    ", " ").splitlines()
    yield from ((name, text) for name, _, text in (entry.partition(": ") for entry in entries if entry))


def table(head: str, rows: Iterator[tuple[str, str]]) -> str:
    """Write two columns, the first of them code."""
    body = "\n".join(f"| `{name}` | {text.replace('|', chr(92) + '|')} |" for name, text in rows)
    return f"| {head} | |\n|---|---|\n{body}\n"


def errors_of(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Return the exceptions that a module defines."""
    for name, kind in vars(module).items():
        if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == module.__name__:
            yield name, summary(kind)


def page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    parts += ["## Postlude", summary(app.Postlude), table("parameter", section(app.Postlude, "Args"))]
    parts += ["## What a Postlude does", DOES_HEAD, table("call", verbs())]
    parts += ["## postlude.router", summary(app.Postlude.router)]
    parts += [table("parameter", section(app.Postlude.router, "Args"))]
    parts += [f"`error.code` is one of {', '.join(f'`{code}`' for code in get_args(view.ErrorCode))}."]
    parts += ["## postlude.metrics", summary(app.Postlude.metrics)]
    parts += [table("parameter", islice(section(app.Postlude.metrics, "Args"), 1, None))]
    parts += ["## postlude.dashboard", summary(app.Postlude.dashboard)]
    parts += [table("parameter", section(app.Postlude.dashboard, "Args"))]
    parts += ["## Access", summary(access.Access), table("parameter", section(access.Access, "Args"))]
    parts += ["## Config", summary(config.Config), table("field", fields_of(config, "Config"))]
    parts += ["## Keep", summary(config.Keep), table("field", fields_of(config, "Keep"))]
    parts += ["## Options of a task", summary(options.TaskOptions)]
    parts += [table("option", fields_of(options, "TaskOptions"))]
    parts += ["## Options of one call", summary(options.CallOptions)]
    parts += [table("option", fields_of(options, "CallOptions"))]
    for kind in (
        retry.Retry,
        retry.Exponential,
        retry.Linear,
        retry.Fixed,
        policy.Limit,
        policy.Rate,
        local.Local,
    ):
        parts += [f"## {kind.__name__}", summary(kind), table("parameter", section(kind, "Attributes"))]
    parts += ["## Reasons", summary(state.Reason), table("reason", reasons())]
    parts += ["## Every name", NAMES_HEAD, table("name", names())]
    parts += [
        "## Errors",
        "All but the last three are `PostludeError`s; those are for tasks to raise. "
        "[Errors](errors.md) has each with an example.",
    ]
    parts += [table("error", errors_of(errors))]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def verbs() -> Iterator[tuple[str, str]]:
    """Return what a Postlude can be asked to do, but for what its own parts ask of it."""
    yield "postlude.task", summary(Registry.task)
    for name in dir(app.Postlude):
        found = inspect.getattr_static(app.Postlude, name)
        if not name.startswith("_") and name not in WIRING and isinstance(found, FunctionType | property):
            yield f"postlude.{name}", summary(found)


def names() -> Iterator[tuple[str, str]]:
    """Return every public name but the errors, each with what it is."""
    for line in PUBLIC.read_text("utf-8").split():
        module, _, name = line.rpartition(".")
        source = importlib.import_module(module)
        found = getattr(source, name)
        if module != "postlude.errors" and not hasattr(errors, name):
            yield line, summary(found) if callable(found) else constant(source, name)


def constant(module: ModuleType, name: str) -> str:
    """Return the text below a constant, in the module that assigns it."""
    body = ast.parse(inspect.getsource(module)).body
    for here, after in pairwise(body):
        match here, after:
            case (
                ast.AnnAssign(target=ast.Name(id=assigned)) | ast.Assign(targets=[ast.Name(id=assigned)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ) if assigned == name:
                return " ".join(text.split())
    for node in body:
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            return constant(importlib.import_module(str(node.module)), name)
    return ""


def reasons() -> Iterator[tuple[str, str]]:
    """Return why a job is where it is."""
    for name, text in fields_of(state, "Reason"):
        yield state.Reason[name].value, text


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
