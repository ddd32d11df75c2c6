"""`postlude dashboard` as it is started, until it is told to end."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from postlude.cli.commands import app
from postlude.stores.sqlite import SqliteStore

CLI = "from postlude.cli import main; main()"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    store = SqliteStore(tmp_path / "shop.db")
    store.open()
    store.close()
    return tmp_path / "shop.db"


@pytest.mark.slow
def test_it_is_served_to_who_has_the_address(journal: Path) -> None:
    command = [sys.executable, "-u", "-c", CLI, "dashboard", "--store", str(journal)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == str(journal)
            address = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{20,}", address)
            transport = httpx.HTTPTransport(retries=20)
            with httpx.Client(transport=transport, follow_redirects=True) as ada:
                assert "shop.db" in ada.get(address).text
            with httpx.Client(transport=transport) as eve:
                assert eve.get(address).status_code == 404
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


@pytest.mark.disk
def test_a_port_that_is_taken_is_said(journal: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = CliRunner().invoke(app, ["dashboard", "--store", str(journal), "--port", port])
    assert done.exit_code == 2
    assert "--port 0 takes one that is free" in done.output


def test_there_has_to_be_a_journal() -> None:
    done = CliRunner().invoke(app, ["dashboard", "--store", "sqlite:////nowhere/at/all.db"])
    assert done.exit_code == 1
    assert "no journal is there" in done.output or "all.db" in done.output
