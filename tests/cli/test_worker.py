"""What is typed after `postlude worker`."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from postlude.cli import worker
from postlude.cli.commands import app
from postlude.errors import PostludeError
from postlude.worker.main import Settings
from postlude.worker.orders import Orders

Told = list[tuple[Orders, Settings]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """What a worker would have been told."""
    told: Told = []

    def work(orders: Orders, settings: Settings) -> int:
        told.append((orders, settings))
        return 143

    monkeypatch.setattr(worker, "work", work)
    return told


def test_what_it_is_told_and_its_exit_code(told: Told) -> None:
    done = CliRunner().invoke(app, ["worker", "main:postlude"])
    assert done.exit_code == 143
    assert told == [(Orders("main:postlude", os.getcwd()), Settings())]


def test_every_option(told: Told, tmp_path: Path) -> None:
    options = (
        "--queues mail,reports --queues mail --processes 4 --concurrency 8 --grace 60 --max-jobs 10 "
        "--max-memory 2G --health 127.0.0.1:80 --health-file up --app-dir"
    )
    CliRunner().invoke(app, ["worker", "main:app", *options.split(), str(tmp_path)])
    assert told == [
        (
            Orders("main:app", str(tmp_path), ("mail", "reports"), 8, 60.0, 10, 2 * 1024**3),
            Settings(4, False, ("127.0.0.1", 80), Path("up")),
        )
    ]


def test_a_developers_worker_waits_little_for_its_jobs(told: Told) -> None:
    CliRunner().invoke(app, ["worker", "main:app", "--reload"])
    ((orders, settings),) = told
    assert (orders.grace, settings.reload) == (1.0, True)


@pytest.mark.parametrize(
    ("text", "place"), [("8080", ("0.0.0.0", 8080)), ("[::1]:8", ("::1", 8)), ("h:0", ("h", 0))]
)
def test_where_its_health_is_told(told: Told, text: str, place: tuple[str, int]) -> None:
    CliRunner().invoke(app, ["worker", "main:app", "--health", text])
    assert told[0][1].health == place


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("main", "'main' does not say where the application is: write module:name, such as main:postlude"),
        ("m:p --queues mail,,b", "--queues mail,,b: a queue has a name"),
        ("m:p --max-memory lots", "--max-memory 'lots': give bytes, such as 500M or 2G"),
        ("m:p --max-memory 0", "--max-memory '0': give bytes, such as 500M or 2G"),
        ("m:p --health here", "--health 'here': give a port, or host:port"),
        ("m:p --health 70000", "--health '70000': give a port, or host:port"),
        ("m:p --reload --processes 2", "--reload works with one process: leave --processes out"),
        (
            "m:p --processes 0 --health 80",
            "--health and --health-file are told by a parent: give --processes 1 or more",
        ),
    ],
)
def test_what_cannot_be_meant(told: Told, options: str, line: str) -> None:
    done = CliRunner().invoke(app, ["worker", *options.split()])
    assert done.stderr == f"postlude: {line}\n"
    assert done.exit_code == 2
    assert not told


def test_what_it_cannot_do_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*_: object) -> int:
        raise PostludeError("the port is taken")

    monkeypatch.setattr(worker, "work", work)
    done = CliRunner().invoke(app, ["worker", "m:p"])
    assert (done.stderr, done.exit_code) == ("postlude: the port is taken\n", 1)
