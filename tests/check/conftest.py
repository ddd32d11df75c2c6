"""Small applications that are written, imported and checked."""

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any, Final

import pytest

from postlude.check.checking import check
from postlude.check.finding import Report

Checked = tuple[Report, set[tuple[int, str]]]
Writes = Callable[..., ModuleType]

HEAD: Final = """
from fastapi import FastAPI, BackgroundTasks
from postlude import Postlude
app = FastAPI()
postlude = Postlude(app, store="memory", packages=[__name__])
"""


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writes]:
    """Write a module and import it."""
    monkeypatch.syspath_prepend(tmp_path)
    names: list[str] = []

    def write(text: str, *, head: str = HEAD, name: str = "") -> ModuleType:
        name = name or f"checked_{tmp_path.name}_{len(names)}"
        names.append(name)
        (tmp_path / f"{name}.py").write_text(head + dedent(text), "utf-8")
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield write
    for name in names:
        sys.modules.pop(name, None)


def checked(module: ModuleType, **given: Any) -> Report:
    """Check a module's application."""
    return check(module.postlude, module.app, **given)


def expected(module: ModuleType) -> list[tuple[int, str]]:
    """Return the lines and rules that comments in a module announce; `?` stands for not looked at."""
    lines = Path(str(module.__file__)).read_text("utf-8").splitlines()
    return [
        (number, rule)
        for number, line in enumerate(lines, 1)
        for rule in re.findall(r"(PL\d{3}|\?)", line.partition("#: ")[2])
    ]


def found(report: Report, module: ModuleType) -> list[tuple[int, str]]:
    """Return the lines and rules of a report's findings in a module."""
    file = Path(str(module.__file__)).resolve()
    told = [(one.line or 0, one.rule) for one in report.findings if one.file == file]
    return sorted(told + [(one.line, "?") for one in report.not_looked_at if one.file == file])
