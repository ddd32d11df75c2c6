"""The programs that stand in the documentation, imported as who copies them does."""

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"

Program = Callable[[str, int], ModuleType]


def pieces(page: str, language: str = "python") -> list[str]:
    """Return the code blocks of a page."""
    text = (DOCS / f"{page}.md").read_text("utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [code for kind, code in found if kind == language]


def importer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return what imports one piece of a page as a module that lies in this folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("POSTLUDE_STORE", "memory")
    monkeypatch.syspath_prepend(folder)

    def program(page: str, piece: int) -> ModuleType:
        name = f"piece_{page.replace('-', '_')}_{piece}"
        (folder / f"{name}.py").write_text(pieces(page)[piece], "utf-8")
        importlib.invalidate_caches()
        sys.modules.pop(name, None)
        return importlib.import_module(name)

    return program
