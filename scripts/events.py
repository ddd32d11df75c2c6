"""Writes the table of events into docs/architecture.md, from the values: `python scripts/events.py`."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import fields
from itertools import dropwhile
from pathlib import Path

from postlude.model import event

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
HEAD = "| event | when | fields |\n|---|---|---|\n"


def kinds() -> Iterator[type[event.Event]]:
    """Return the kinds of events, in the order in which they are written."""
    for module in sorted(each.name for each in pkgutil.iter_modules(event.__path__)):
        found = importlib.import_module(f"{event.__name__}.{module}")
        yield from (
            each
            for each in vars(found).values()
            if isinstance(each, type)
            and issubclass(each, event.Event)
            and each.__module__ == found.__name__
            and not each.__name__.startswith("Of")
        )


def table() -> str:
    """Return the table."""
    return HEAD + "".join(_row(kind) for kind in kinds())


def _row(kind: type[event.Event]) -> str:
    own = {field.name for field in fields(event.OfJob)} if issubclass(kind, event.OfJob) else set[str]()
    named = [f"`{field.name}`" for field in fields(kind) if field.name not in own]
    told = ", ".join(["the job's", *named] if own else named)
    when = " ".join((kind.__doc__ or "").partition("\n\n")[0].split())
    return f"| `{kind.__name__}` | {when} | {told} |\n"


def put_into(page: str) -> str:
    """Return the page with the table in the place of the one that it has."""
    before, _, rest = page.partition(HEAD)
    after = dropwhile(lambda line: line.startswith("|"), rest.splitlines(keepends=True))
    return before + table() + "".join(after)


if __name__ == "__main__":
    PAGE.write_text(put_into(PAGE.read_text("utf-8")), "utf-8")
