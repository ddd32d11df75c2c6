"""The page on schedules: its code runs as it stands there."""

import re
import sys
import types
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from fastapi import FastAPI

from postlude import Postlude
from postlude.jobs.schedules import ScheduleStatus
from tests.app.serving import eventually, serving

pytest_plugins = ["pytester"]

PIECES: Final = re.findall(
    r"```python\n(.*?)```",
    (Path(__file__).parents[2] / "docs" / "schedules.md").read_text("utf-8"),
    re.DOTALL,
)

MADE: Final = "app = FastAPI()\npostlude = Postlude(app)\n"
"""What is handed to the page, since it is to be looked at."""


def module_of(code: str, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("page_of_docs")
    monkeypatch.setitem(sys.modules, "page_of_docs", module)
    module.__dict__.update(given)
    exec(compile(code, "page_of_docs.py", "exec"), module.__dict__)
    return module


@pytest.mark.anyio
@pytest.mark.disk
async def test_schedules_as_they_are_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTLUDE_SCHEDULES", "on")
    postlude = Postlude(FastAPI(), store="sqlite:///jobs.db", packages=["page_of_docs"])
    first, second, _ = PIECES
    first = first.replace(MADE, "")
    days: list[Any] = []
    given = {"postlude": postlude, "note": days.append}
    second = second.replace("day = current_job().scheduled_for", "note((region, current_job()))\n    day = 0")
    module = module_of(first + second, given, monkeypatch)
    async with serving(postlude):

        async def declared() -> dict[str, ScheduleStatus] | None:
            found = {one.name.rpartition(":")[2]: one for one in await postlude.schedules()}
            return found if len(found) == 3 else None

        seen = await eventually(declared)
        assert set(seen) == {"morning_report", "fetch_rates", "close_day"}
        report = seen["morning_report"].next
        assert report is not None
        assert report.astimezone(UTC) > datetime.now(UTC)
        job = await postlude.run_schedule(seen["close_day"].name)
        await job.result(timeout=10)
        ((region, told),) = days
        assert (region, told.scheduled_for) == ("eu", None), "by hand: it has no due time"
        assert module.fetch_rates.policy.timeout == 60


@pytest.mark.process
def test_turning_the_clock_does_it(monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> None:
    """The page's own test, by the plug-in, of an application that has the page's schedule."""
    pytester.makepyfile(
        shop=PIECES[0].partition("\n\n@postlude.every")[0],
        test_it=f"from shop import morning_report\n\n{PIECES[2]}".replace("days=1", "days=4"),
    )
    monkeypatch.delenv("POSTLUDE_STORE", raising=False)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
