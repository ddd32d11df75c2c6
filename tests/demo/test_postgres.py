"""The demo with its journal in PostgreSQL, and two workers beside the shop."""

import os
import signal
from contextlib import closing
from pathlib import Path

import pytest

from postlude.stores.location import parse_location
from postlude.stores.open import open_reading
from tests.demo.shop_process import Demo

pytestmark = pytest.mark.slow


def test_its_jobs_run_in_the_shop_and_in_two_workers_also_while_the_shop_is_dead(tmp_path: Path) -> None:
    with Demo(tmp_path, "postgres") as demo:
        assert not (tmp_path / "postlude.db").exists()
        (url,) = (line.partition(": ")[2] for line in demo.lines if line.startswith("Journal: "))

        def kinds() -> list[str] | None:
            with closing(open_reading(parse_location(url.strip()))) as journal:
                found = sorted(one.kind for one in journal.living().wait())
            return found if found == ["app", "worker", "worker"] else None

        demo.eventually(kinds, "the shop and two workers run jobs")
        demo.client.post("/newsletter")
        os.kill(demo.get("/overview")["pid"], signal.SIGKILL)
        demo.eventually(lambda: demo.get("/mails")["newsletters"] >= 50, "all newsletters have arrived")
        assert demo.stop() == 0
