"""The demo does what its page says, driven over HTTP."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import httpx2
import pytest

from demo.mail import SLOW_MAILS, arrived
from demo.orders import SAMPLE_ROWS, sample
from tests.demo.shop_process import ROOT, Demo

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with Demo(tmp_path_factory.mktemp("demo")) as running:
        yield running


def test_signing_up_sends_a_mail(demo: Demo) -> None:
    answer = demo.client.post("/accounts", json={"name": "Zoë", "address": "zoe@example.org"})
    assert answer.status_code == 201

    def welcome() -> list[dict[str, str]]:
        return [mail for mail in demo.get("/mails")["latest"] if mail["to"] == "zoe@example.org"]

    (mail,) = demo.eventually(welcome, "the welcome mail")
    assert mail["subject"] == "Welcome, Zoë!"
    assert "your account is open" in mail["text"]


@pytest.mark.parametrize("name", ["", "Ada\r\nBcc: everyone@example.org"])
def test_a_name_that_is_no_name_is_refused(demo: Demo, name: str) -> None:
    answer = demo.client.post("/accounts", json={"name": name, "address": "ada@example.org"})
    assert answer.status_code == 422


def test_an_upload_is_accepted_and_worked_through(demo: Demo) -> None:
    status = upload(demo)
    report = demo.eventually(lambda: demo.get(status)["result"], "the import ends")
    assert report["orders"] == SAMPLE_ROWS - 2
    assert report["rejected"] == 2
    assert [line.partition(":")[0] for line in report["problems"]] == ["row 77", "row 150"]
    assert Decimal(report["total"]) == expected_total()
    progress = demo.get(status)["progress"]
    assert (progress["current"], progress["total"]) == (SAMPLE_ROWS, SAMPLE_ROWS)


def test_a_file_that_is_no_csv_is_attempted_once(demo: Demo) -> None:
    status = upload(demo, b"\xff\xfe\x00\xd8")
    demo.eventually(lambda: demo.get(status)["state"] == "failed", "the import fails")
    (attempt,) = demo.get(f"{status}/attempts")
    assert "UnicodeDecodeError" in attempt["error"]


def test_an_import_can_be_cancelled(demo: Demo) -> None:
    status = upload(demo)
    demo.eventually(lambda: demo.get(status)["progress"], "the import has begun")
    assert demo.client.post(f"{status}/cancel").status_code == 202
    demo.eventually(lambda: demo.get(status)["state"] == "cancelled", "the import stops")
    assert demo.get(status)["progress"]["current"] < SAMPLE_ROWS


def test_a_visitor_is_told_of_their_own_jobs_only(demo: Demo) -> None:
    status = upload(demo)
    assert demo.client.get(status).status_code == 200
    with httpx2.Client(base_url=demo.url, timeout=30) as other:
        assert other.get(status).status_code == 404
        other.get("/")
        assert other.get(status).status_code == other.post(f"{status}/cancel").status_code == 404


def test_an_invoice_is_drawn_in_another_process(demo: Demo) -> None:
    answer = demo.client.post("/invoices", json={"customer": "Ada & <Co>"})
    status = answer.headers["Location"]
    invoice = demo.eventually(lambda: demo.get(status)["result"], "the invoice is drawn")
    assert invoice["process"] != demo.get("/overview")["pid"]

    shown = demo.client.get(invoice["url"])
    assert shown.headers["content-type"] == "image/svg+xml"
    texts = ElementTree.fromstring(shown.text).iter("{http://www.w3.org/2000/svg}text")
    assert "to Ada & <Co>" in [text.text for text in texts]


def upload(demo: Demo, content: bytes = "".join(sample()).encode()) -> str:
    answer = demo.client.post("/imports", files={"upload": ("orders.csv", content, "text/csv")})
    assert answer.status_code == 202
    status = answer.headers["Location"]
    assert status.startswith("/jobs/")
    return status


def expected_total() -> Decimal:
    rows = [line.strip().split(",") for line in sample()][1:]
    wrong = {"77", "150"}
    return sum((int(row[2]) * Decimal(row[3]) for row in rows if row[0] not in wrong), Decimal(0))


def test_mails_outlive_the_server(demo: Demo) -> None:
    before = demo.get("/overview")["pid"]
    demo.client.post("/newsletter").raise_for_status()
    demo.eventually(lambda: demo.get("/mails")["newsletters"] >= 3, "the first newsletters")

    with pytest.raises(httpx2.TransportError):
        demo.client.post(f"/kill/{before}")
    sent = len(arrived(demo.directory / "mailbox"))
    assert sent < SLOW_MAILS, "the server was killed too late to prove anything"
    assert demo.get("/overview")["pid"] != before
    assert demo.client.post(f"/kill/{before}").status_code == 200, "a browser's second try kills no other"

    demo.eventually(lambda: demo.get("/mails")["newsletters"] == SLOW_MAILS, "all newsletters")
    demo.client.post("/newsletter").raise_for_status()
    assert demo.get("/mails")["newsletters"] < SLOW_MAILS, "those before are not counted with them"
    demo.eventually(
        lambda: not {"queued", "running"} & demo.get("/overview")["counts"].keys(), "every job has ended"
    )


def test_the_server_dies_with_its_supervisor(tmp_path: Path) -> None:
    with Demo(tmp_path) as running:
        server = running.get("/overview")["pid"]
        running.process.kill()
        running.process.wait()

        def gone() -> bool:
            try:
                os.kill(server, 0)
            except ProcessLookupError:
                return True
            return False

        try:
            wait_until(gone)
        finally:
            if not gone():
                os.kill(server, signal.SIGKILL)


def test_it_stops_in_order(tmp_path: Path) -> None:
    with Demo(tmp_path) as running:
        running.client.post("/newsletter").raise_for_status()
        assert running.stop() == 0
    assert "Stopping" in "".join(running.lines)
    assert "Traceback" not in "".join(running.lines)


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "demo.run"],
            cwd=ROOT,
            env=os.environ | {"DEMO_DIR": str(tmp_path), "PORT": port},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert f"port {port}" in ended.stdout
    assert not ended.stderr
    assert "delete" not in ended.stdout.lower(), "the folder is somebody's own"


def test_what_is_deleted_at_the_end_is_told(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DEMO_DIR"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = subprocess.run(
            [sys.executable, "-m", "demo.run"],
            cwd=ROOT,
            env=environment | {"TMPDIR": str(tmp_path), "PORT": str(taken.getsockname()[1])},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    first, *_, last = ended.stdout.splitlines()
    assert "deleted when it stops; DEMO_DIR=folder keeps it" in first
    assert last.startswith(f"Deleting {tmp_path}/postlude-demo-")
    assert list(tmp_path.iterdir()) == []


def wait_until(look: Callable[[], bool], within: float = 20) -> None:
    deadline = time.monotonic() + within
    while not look():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.1)
