"""Waiting jobs that this release cannot run: PL008."""

import asyncio
import sys
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from postlude.stores.sqlite import SqliteReading
from tests.check.conftest import HEAD, Writes, checked

pytestmark = pytest.mark.disk

BEFORE = """
    def kept(name: str, times: int = 1): ...
    def gone(name: str): ...
    def changed(name: str): ...
    def retyped(number: int): ...
"""

AFTER = """
    def kept(name: str, times: int = 1, more: str = ""): ...
    def changed(address: str): ...
    def retyped(number: list[int]): ...
"""


async def _add(module: ModuleType) -> None:
    await module.postlude.open()
    for _ in range(3):
        await module.postlude.add_task(module.changed, "a")
    for function, argument in ((module.kept, "a"), (module.gone, "a"), (module.retyped, 5)):
        await module.postlude.add_task(function, argument)
    await module.postlude.close()


def test_jobs_that_the_next_release_cannot_run_are_told_by_reason(written: Writes, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    head = HEAD.replace('"memory"', repr(f"sqlite:///{path}"))
    module = written(BEFORE, head=head)
    asyncio.run(_add(module))
    journal = SqliteReading(path)
    assert checked(module, journal=journal).findings == ()
    name = module.__name__
    del sys.modules[name]
    module = written(dedent(AFTER) + "# another size, so that Python reads it anew", head=head, name=name)
    findings = checked(module, journal=journal).findings
    journal.close()
    first, *others = [one.says for one in findings]
    assert {one.rule for one in findings} == {"PL008"}
    assert first.startswith("3 waiting jobs would be parked: ")
    assert f"{name}:changed" in first
    assert len(others) == 2
    assert all(one.startswith("1 waiting job would be parked: ") for one in others)
    assert {name for name in ("gone", "retyped", "kept") if any(f":{name}" in one for one in others)} == {
        "gone",
        "retyped",
    }
