"""The application's own modules, as text and as what was imported."""

import ast
import re
import sys
import tokenize
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

from postlude.tasks.packages import Packages

_IGNORE: Final = re.compile(r"#\s*postlude:\s*ignore(?:\[([\w\s,]*)\])?")


class Source(NamedTuple):
    """One module."""

    file: Path
    tree: ast.Module
    names: Mapping[str, Any]
    """What its global names stand for, now that it is imported."""
    ignored: Mapping[int, frozenset[str] | None]
    """By line, the rules that a comment silences there; None: all."""

    unsteady: frozenset[str]
    """Global names that functions set, or loops: later they may stand for something else."""

    def silences(self, line: int, rule: str) -> bool:
        """Whether a comment on a line silences a rule."""
        if line not in self.ignored:
            return False
        rules = self.ignored[line]
        return rules is None or rule in rules


def own_sources(packages: Packages) -> Iterator[Source]:
    """Yield the application's own modules that have been imported, in the order of their files."""
    found: dict[Path, ModuleType] = {}
    own: dict[str, bool] = {}  # by top-level package: each question looks at the disk
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        is_source = isinstance(module, ModuleType) and isinstance(file, str) and file.endswith(".py")
        top = name.partition(".")[0]
        if is_source and top not in own:
            own[top] = packages.own(name)
        if is_source and own[top]:
            found.setdefault(Path(str(file)).resolve(), module)
    for file, module in sorted(found.items()):
        text = _read(file)
        if text is not None:
            tree = ast.parse(text)
            yield Source(file, tree, vars(module), _comments(text), frozenset(_unsteady(tree)))


def _read(file: Path) -> str | None:
    try:
        with tokenize.open(file) as opened:
            return opened.read()
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None


def _comments(text: str) -> dict[int, frozenset[str] | None]:
    found: dict[int, frozenset[str] | None] = {}
    if "postlude:" not in text:
        return found
    for token in tokenize.generate_tokens(StringIO(text).readline):
        if token.type == tokenize.COMMENT and (match := _IGNORE.search(token.string)):
            rules = match[1]
            named = None if rules is None else frozenset(part.strip() for part in rules.split(","))
            found[token.start[0]] = named
    return found


def _unsteady(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield from node.names
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.For | ast.comprehension):
            yield from (each.id for each in ast.walk(node.target) if isinstance(each, ast.Name))
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
