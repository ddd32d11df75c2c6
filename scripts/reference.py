"""Writes docs/reference.md from the docstrings of the code: `python scripts/reference.py`."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from postlude import config, errors
from postlude.app import postlude as app
from postlude.dashboard import access
from postlude.engines import local
from postlude.jobs import view
from postlude.model import limits as policy
from postlude.model import retry, state
from postlude.tasks import options

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"

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
    parts += ["## Errors", "All but the last three are `PostludeError`s; those are for tasks to raise."]
    parts += [table("error", errors_of(errors))]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def reasons() -> Iterator[tuple[str, str]]:
    """Return why a job is where it is."""
    for name, text in fields_of(state, "Reason"):
        yield state.Reason[name].value, text


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
