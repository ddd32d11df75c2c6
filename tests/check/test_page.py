"""The page on the rules: each example is checked, and is found where it says so, or not."""

import re
from pathlib import Path
from typing import Final

import pytest

from postlude.check.finding import RULES
from tests.check.conftest import HEAD, Writes, checked, found

PAGE: Final = (Path(__file__).parents[2] / "docs/check.md").read_text("utf-8")

AROUND: Final = (
    HEAD
    + """
from fastapi import Depends, UploadFile
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.background import BackgroundTask
class Order(BaseModel):
    number: int
class Session:
    async def __aenter__(self): ...
    async def __aexit__(self, *error): ...
def send(number: int) -> None: ...
"""
)

EXAMPLES: Final = [
    (rule, code)
    for rule, text in re.findall(r"### (PL\d{3}): .*\n((?:.*\n(?!###))*)", PAGE)
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL)
]


def test_each_rule_has_its_part_and_its_title() -> None:
    assert dict(re.findall(r"### (PL\d{3}): (.*)", PAGE)) == {rule: one.title for rule, one in RULES.items()}


def test_there_are_examples_of_each_rule_that_looks_at_code() -> None:
    assert {rule for rule, _ in EXAMPLES} == set(RULES) - {"PL008", "PL009", "PL010"}


@pytest.mark.parametrize(("rule", "code"), EXAMPLES)
def test_an_example_is_found_where_it_says_so(written: Writes, rule: str, code: str) -> None:
    module = written(code, head=AROUND)
    lines = Path(str(module.__file__)).read_text("utf-8").splitlines()
    expected = [(number, rule) for number, line in enumerate(lines, 1) if line.endswith("# found")]
    assert found(checked(module), module) == expected
