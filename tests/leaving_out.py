"""Which files `-m` leaves out whole: they need not be imported, nor what only they need."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

ONLY_WITHOUT = re.compile(r"not \w+(?: and not \w+)*")
"""Expressions for which a mark of the whole file is enough to know; of others nothing is left out here."""

_MARKS = re.compile(r"^pytestmark = .*?(?:^[\])]|(?=^\S)|\Z)", re.MULTILINE | re.DOTALL)


def left_out(expression: str, path: Path) -> bool:
    """Say whether an expression leaves out all tests of a file, or of all files in a folder."""
    if ONLY_WITHOUT.fullmatch(expression) is None:
        return False
    return _left_out(frozenset(re.findall(r"not (\w+)", expression)), path)


def _left_out(marks: frozenset[str], path: Path) -> bool:
    if path.is_dir():
        files = list(path.rglob("test_*.py"))
        return bool(files) and all(_left_out(marks, file) for file in files)
    return path.suffix == ".py" and not marks.isdisjoint(marks_of(path))


@functools.cache
def marks_of(file: Path) -> frozenset[str]:
    """Return the marks that a file gives to each of its tests, by `pytestmark`."""
    found = _MARKS.search(file.read_text("utf-8"))
    return frozenset(_named(found[0])) if found is not None else frozenset()


def _named(statement: str) -> Iterator[str]:
    match ast.parse(statement).body:
        case [ast.Assign(value=ast.List(elts=marks) | ast.Tuple(elts=marks))]:
            pass
        case [ast.Assign(value=mark)]:
            marks = [mark]
    for mark in marks:
        match mark.func if isinstance(mark, ast.Call) else mark:
            case ast.Attribute(value=ast.Attribute(attr="mark"), attr=name):
                yield name
