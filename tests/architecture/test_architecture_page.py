"""docs/architecture.md tells of the tree as it is."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "postlude"
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


def section(head: str) -> str:
    return PAGE.partition(f"\n## {head}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| (?!word|room|-)(.+?) \|", text, re.MULTILINE)


def rooms(cell: str) -> Iterator[str]:
    """Return the paths that a row of the floor plan names; those in brackets lie in the one before them."""
    room = ""
    for name, inner in re.findall(r"`([^`]+)`(?: \(([^)]*)\))?", cell):
        room = name
        yield room
        yield from (f"{room}{deeper}" for deeper in re.findall(r"`([^`]+)`", inner))


def test_the_floor_plan_names_each_room_once_and_no_others() -> None:
    named = [room.rstrip("/") for cell in first_cells(section("Floor plan")) for room in rooms(cell)]
    packages = {str(file.parent.relative_to(SOURCE)) for file in SOURCE.rglob("*/__init__.py")} - {"."}
    modules = {file.name for file in SOURCE.glob("*.py")} - {"__init__.py"}
    assert sorted(named) == sorted(packages | modules)


def test_no_word_of_the_glossary_stands_for_two_things() -> None:
    words = first_cells(PAGE.partition("\n## ")[0])
    assert len(words) > 10
    assert sorted(words) == sorted(set(words))
    assert [word for word in words if "(" in word or "," in word] == []


def test_the_files_of_a_jobs_way_and_of_changes_are_there() -> None:
    text = section("A job's way") + section("What a change takes")
    files = set(re.findall(r"`([a-z_]+/[\w/]*(?:\.py)?)`", text))
    assert len(files) > 30
    assert sorted(file for file in files if not (SOURCE / file).exists()) == []
