"""The demo with a broker: one setting, and a worker of Celery's imports orders."""

import os
import signal
from pathlib import Path

import pytest

from demo.orders import SAMPLE_ROWS
from tests.demo.shop_process import Demo
from tests.demo.test_shop import upload

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("broker", ["rabbitmq", "redis"])
def test_an_import_runs_in_a_worker_of_celerys_and_looks_as_ever(tmp_path: Path, broker: str) -> None:
    with Demo(tmp_path, "celery", broker) as demo:
        status = upload(demo)
        demo.eventually(lambda: demo.get(status)["progress"], "it says how far it is")
        os.kill(demo.get("/overview")["pid"], signal.SIGKILL)
        report = demo.eventually(lambda: demo.get(status)["result"], "the import ends")
        assert (report["orders"], report["rejected"]) == (SAMPLE_ROWS - 2, 2)
        told = demo.get(status)
        assert (told["progress"]["current"], told["attempt"]) == (SAMPLE_ROWS, 1), (
            "it has not died with the shop"
        )
        bad = upload(demo, b"\xff\xfe\x00\xd8")
        demo.eventually(lambda: demo.get(bad)["state"] == "failed", "a file that is no CSV fails")
        assert demo.stop() == 0
    assert any(line.startswith("Broker: ") for line in demo.lines)
