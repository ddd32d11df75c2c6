"""Every name that stands in back-ticks in a message is in the documentation, where its reader can find it."""

import ast
import builtins
import functools
import keyword
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.architecture import rules

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "postlude"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

NAME = re.compile(r"[A-Za-z_][\w.]*")
OTHERS = frozenset({"TYPE_CHECKING", "__name__", "__main__", "args", "rest"})
"""Python's own words, beside its keywords and built-in functions."""


@functools.cache
def messages(file: Path) -> Sequence[str]:
    """Return the texts of a module that are no docstrings; what is put into one is left out."""
    return tuple(_messages(rules.nodes(file)))


def _messages(nodes: Sequence[ast.AST]) -> Iterator[str]:
    documented = {
        id(node.value)
        for node in nodes
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    inner = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    others = documented | inner
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and id(node) not in others:
            yield node.value if isinstance(node.value, str) else ""


def quoted(text: str) -> Iterator[str]:
    """Return the names within the back-ticks of a text."""
    for snippet in re.findall(r"`([^`]+)`", text):
        for name in NAME.findall(re.sub(r'"[^"]*"', "", snippet)):
            for word in name.strip(".").split("."):
                if not (keyword.iskeyword(word) or hasattr(builtins, word) or word in OTHERS):
                    yield word


@functools.cache
def names_in_messages() -> dict[str, str]:
    """Return the names, each with where it stands."""
    found: dict[str, str] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for text in messages(path):
            found.update(dict.fromkeys(quoted(text), str(path.relative_to(SOURCE))))
    return found


def test_messages_have_names() -> None:
    """Or the search finds nothing, and the other test nothing to miss."""
    names = names_in_messages()
    assert {"add_task", "Depends", "current_job", "injected"} <= names.keys()
    assert set(quoted("f`await postlude.add_task(...)` and `if TYPE_CHECKING:`")) == {"postlude", "add_task"}


def test_each_is_in_the_documentation() -> None:
    known = set(re.findall(r"\w+", documentation()))
    assert {name: place for name, place in names_in_messages().items() if name not in known} == {}


def test_what_people_may_copy_is_there_as_it_is_written() -> None:
    told = documentation()
    for path in sorted(SOURCE.rglob("*.py")):
        for text in messages(path):
            for snippet in re.findall(r"`([^`]+)`", text):
                assert "{}" in snippet or snippet in told, f"{path.name}: `{snippet}`"


def documentation() -> str:
    return "\n".join(page.read_text("utf-8") for page in PAGES)
