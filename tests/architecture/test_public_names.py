"""Names that users import are on a list: one that leaves it breaks somebody, one that comes is a promise."""

import importlib
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.architecture import rules

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "postlude"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

NAMES: defaultdict[str, list[str]] = defaultdict(list)
"""By module."""
for line in Path(__file__).with_name("public_names.txt").read_text("utf-8").split():
    NAMES[line.rpartition(".")[0]].append(line.rpartition(".")[2])


def source_of(module: str) -> Path:
    path = SOURCE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def test_all_doors_are_on_the_list() -> None:
    assert {"postlude", "postlude.fastapi", "postlude.starlette", "postlude.testing"} <= NAMES.keys()


@pytest.mark.parametrize("module", NAMES)
def test_a_module_has_the_names_of_the_list_and_no_others(module: str) -> None:
    assert sorted(rules.public_names(source_of(module))) == sorted(NAMES[module])
    imported = importlib.import_module(module)
    assert [name for name in NAMES[module] if getattr(imported, name, None) is None] == []


def test_all_errors_are_on_the_list_and_in_the_package() -> None:
    errors = importlib.import_module("postlude.errors")
    found = vars(errors).items()
    own = {name for name, value in found if getattr(value, "__module__", "") == "postlude.errors"}
    assert own == set(NAMES["postlude.errors"])
    assert own <= set(NAMES["postlude"])


def test_what_the_documentation_imports_is_public() -> None:
    imports = re.compile(r"from (postlude(?:\.\w+)*) import ([\w, ]+)")
    found = [
        (module, name.strip())
        for page in PAGES
        for module, names in imports.findall(page.read_text("utf-8"))
        for name in names.split(",")
    ]
    assert len(found) > 8
    assert [(module, name) for module, name in found if name not in NAMES[module]] == []
