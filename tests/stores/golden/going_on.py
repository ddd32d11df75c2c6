"""What becomes of a golden journal under the release of today."""

import asyncio
import importlib
import sys
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from postlude import Pause
from postlude.cli.commands import app as commands
from tests.app.serving import eventually, serving
from tests.stores.golden.make import HERE

LEFT: Final = {("waits", 2100), ("waits", 20)}
"""What goes on waiting: for the year 2100, and in a queue that is paused."""


def shop_on(location: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import the application of the golden journals, as the release of today, on one of them."""
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.delenv("POSTLUDE_STORE", raising=False)
    monkeypatch.setenv("GOLDEN_STORE", location)
    monkeypatch.setenv("GOLDEN_MENDED", "1")
    monkeypatch.delitem(sys.modules, "golden_shop", raising=False)
    return importlib.import_module("golden_shop")


async def goes_on(shop: Any, location: str) -> None:
    """Open it, let run what waits, and look at all that it had."""
    postlude = shop.postlude

    async def only_what_has_to_wait() -> list[Any] | None:
        found = (await postlude.find(limit=100)).jobs
        return found if {_call(job) for job in found if not job.ended} == LEFT else None

    async with serving(postlude):
        found = await eventually(only_what_has_to_wait)
        states = sorted((_call(job), str(job.state)) for job in found)
        assert states == sorted(
            [
                *((("settles", number), "succeeded") for number in (1, 2, 3)),
                (("breaks", 7), "failed"),
                (("waits", 0), "cancelled"),
                (("retries", 1), "succeeded"),
                (("leaves", 5), "succeeded"),  # it was parked
                (("holds", 1), "succeeded"),  # it ran when its process was killed
                *((("waits", number), "succeeded") for number in (1, 11)),
                *((("one_at_a_time", number), "succeeded") for number in range(4)),
                (("waits", 2100), "queued"),
                (("waits", 20), "queued"),
            ]
        )
        of = {_call(job): await postlude.show(job.id) for job in found}
        assert (of["settles", 2].result, of["leaves", 5].result) == (4, 5)
        assert [attempt.error for attempt in of["breaks", 7].attempts] == ["ValueError: no 7"]
        assert "golden_shop.py" in str(of["breaks", 7].attempts[0].traceback)
        assert len(of["retries", 1].attempts) >= 2
        assert [line.message for line in of["settles", 1].logs] == ["settling 1"]
        assert await postlude.paused() == [Pause("queue", "quiet")]
        assert await postlude.resume("quiet")
        last = await postlude.job(of["waits", 20].id)
        assert await last.result(timeout=10) == 20
        again = await postlude.add_task(shop.settles, 9)
        assert await again.result(timeout=10) == 18
    told = await asyncio.to_thread(CliRunner().invoke, commands, ["verify", "--store", location])
    wanted = 0, f"{len(states) + 1} jobs: nothing that cannot be true.\n"
    assert (told.exit_code, told.stdout) == wanted, told.exception or told.output


def _call(job: Any) -> tuple[str, Any]:
    values = [*job.arguments.positional, *job.arguments.named.values()]
    return job.task.partition(":")[2], values[-1]
