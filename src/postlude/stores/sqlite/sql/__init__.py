"""The schema and the named statements, kept as SQL beside this file."""

import re
from importlib.resources import files
from typing import Final

from postlude.stores.relational.columns import PARTS


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _statements(text: str) -> dict[str, str]:
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)[1:]
    found = {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}
    return {name: _whole(body, found | PARTS) for name, body in found.items()}


def _whole(body: str, parts: dict[str, str]) -> str:
    """Put in the parts that stand in a statement, also in its parts."""
    while "$" in body:
        body = re.sub(r"\$(\w+)", lambda part: parts[part[1]], body)
    return body


MIGRATIONS: Final = tuple(
    _text(name)
    for name in sorted(file.name for file in files(__package__).iterdir())
    if re.fullmatch(r"[0-9]{4}\.sql", name)
)
"""The schema's steps, in order. The version of a journal is how many of them it has seen."""

SQL: Final = _statements(_text("statements.sql"))
"""Every statement by its name. `$name` in one stands for a list of columns, or for a part of several."""
