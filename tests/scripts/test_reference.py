"""The reference page: it says what the docstrings say, and they say all that is asked of them."""

import re
from dataclasses import MISSING, Field, fields
from typing import Any

import pytest

from postlude import Config, Keep, config
from scripts.reference import PAGE, PUBLIC, fields_of, page

UNITS = "Seconds", "Jobs", "Bytes", "Characters", "Lines", "Levels"
DEFAULT = re.compile(r"(?:^|[;.] )([^;.]*(?:\.\d+)?[^;.]*) by default\.$")

FIELDS = [(kind, field) for kind in (Config, Keep) for field in fields(kind)]


def default_in_words(field: Field[Any]) -> str:
    value = field.default
    assert value is not MISSING
    if field.name == "processes":
        return "as many as there are processors"
    if isinstance(value, bool):
        return "On" if value else "Off"
    if isinstance(value, int | float):
        return f"{value:,g}" if value < 1 else f"{value:,.0f}"
    return f'"{value}"' if isinstance(value, str) else f"{type(value).__name__}()"


def test_it_is_what_the_docstrings_say() -> None:
    assert PAGE.read_text("utf-8") == page(), "run `python scripts/reference.py`"


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=lambda each: getattr(each, "name", ""))
def test_each_field_says_its_unit_and_its_default(kind: type, field: Field[Any]) -> None:
    told = dict(fields_of(config, kind.__name__))[field.name]
    found = DEFAULT.search(told)
    assert found is not None, told
    default = re.sub(r" \([^)]*\)$", "", found[1])
    assert default == default_in_words(field)
    if isinstance(field.default, int | float) and not isinstance(field.default, bool):
        assert any(f"{unit}; " in told for unit in UNITS), told


def test_each_public_name_is_there() -> None:
    names = PUBLIC.read_text("utf-8").split()
    told = page()
    assert len(names) > 60
    assert [
        name for name in names if f"`{name}`" not in told and f"`{name.rpartition('.')[2]}`" not in told
    ] == []


def test_nothing_of_it_is_left_open() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [row for row in rows if re.fullmatch(r"\| `[^`]+` \|\s*\|", row)] == []
