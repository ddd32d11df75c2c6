"""Each variant, made by the wheel's own command in an empty folder, and its own commands, run for real."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from postlude.new.project import Variant
from tests.new.venvs import ROOT, build, environment, make
from tests.servers.redis import free_port

pytestmark = [pytest.mark.slow, pytest.mark.process]

CACHE = ROOT / ".mypy_cache/new"
"""Variants have all but a few files in common, and mypy reads all that they import."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def database_of_the_shop(database: str) -> Iterator[str]:
    """A database with neither a journal nor data."""
    yield database
    with psycopg.connect(database, autocommit=True) as db:
        db.execute("DROP TABLE IF EXISTS orders")


@pytest.fixture
def settings(variant: Variant, request: pytest.FixtureRequest) -> dict[str, str]:
    """What a person would write to `.env`, beside what is made there."""
    found = {}
    if variant.postgres:
        found["SHOP_DATABASE_URL"] = request.getfixturevalue("database_of_the_shop")
    if variant.broker:
        found["SHOP_BROKER_URL"] = request.getfixturevalue(variant.broker).url
    return found


class Shop:
    """A project that has been made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self, *words: str) -> str:
        """Run a command of its own; returns what it says."""
        done = subprocess.run(
            ["make", f"PYTHON={sys.executable}", *words],
            cwd=self.folder, env=environment() | {"MYPY_CACHE_DIR": str(CACHE)},
            capture_output=True, text=True, timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def running(self) -> Iterator[httpx2.Client]:
        """Run it as a person does at a terminal, end it by Ctrl-C, and look that nothing is left."""
        port = free_port()
        log = self.folder.parent / "log"
        with log.open("wb") as said:
            process = subprocess.Popen(
                ["make", "run", f"PORT={port}"],
                cwd=self.folder, env=environment(), stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip
        try:
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
                eventually(lambda: answered(client), "it answers", log)
                yield client
            os.killpg(process.pid, signal.SIGINT)
            process.wait(60)
            eventually(lambda: not lives(process.pid), "nothing is left of it", log)
        except BaseException:
            sys.stderr.write(log.read_text(errors="replace")[-5000:])
            raise
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def answered(client: httpx2.Client) -> bool:
    with suppress(httpx2.TransportError):
        return client.get("/openapi.json").status_code == 200
    return False


def lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def eventually(done: Callable[[], Any], what: str, log: Path, within: float = 60) -> Any:
    until = time.monotonic() + within
    while not (found := done()):
        assert time.monotonic() < until, f"{what}: not within {within:.0f} s\n{log.read_text()[-3000:]}"
        time.sleep(0.1)
    return found


@pytest.fixture
def shop(variant: Variant, wheel: Path, settings: dict[str, str], tmp_path: Path) -> Shop:
    programs = make(tmp_path / "tools", wheel)
    place = tmp_path / "empty"
    place.mkdir()
    subprocess.run(
        [str(programs / "postlude"), "new", "shop", "--variant", str(variant)],
        cwd=place, env=environment(), check=True, capture_output=True,
    )  # fmt: skip
    shop = Shop(place / "shop")
    make(shop.folder / ".venv", None)  # its own Makefile installs Postlude, from where `new` was from
    shop.make(".env")
    with (shop.folder / ".env").open("a") as file:  # the last line of a name counts
        file.writelines(f"{name}={value}\n" for name, value in settings.items())
    return shop


@pytest.mark.parametrize("variant", Variant)
def test_its_own_commands(shop: Shop, variant: Variant) -> None:
    assert f"{6 if variant.broker else 5} passed" in shop.make("test")
    assert "nothing found" in shop.make("check")
    assert (shop.folder / ".env").stat().st_mode & 0o777 == 0o600
    log = shop.folder.parent / "log"
    written = dict(line.split("=", 1) for line in (shop.folder / ".env").read_text().split())
    with shop.running() as client:
        assert client.post("/accounts", params={"email": "ada@example.org"}).json() == {"status": "opened"}
        assert client.post("/orders", json={"email": "ada@example.org", "amount": 7}).json() == {"id": 1}
        assert ended(client, client.post("/uploads", files={"file": b"amount\n3\n4\n"}), log) == {
            "lines": 2,
            "total": 7,
        }
        eventually(
            lambda: "no mail to ada@example.org (Order 1)" in log.read_text(), "the mail is logged", log
        )
        assert "no mail to ada@example.org (Welcome)" in log.read_text()
        if variant.broker:
            assert ended(client, client.post("/reports"), log) == {"lines": 1, "total": 7}
        assert client.get("/background/").status_code == 401
        page = client.get("/background/", auth=("admin", written["SHOP_DASHBOARD_PASSWORD"]))
        assert page.status_code == 200


def ended(client: httpx2.Client, answer: httpx2.Response, log: Path) -> Any:
    """Follow what has been answered with 202; returns its result."""
    assert answer.status_code == 202, answer.text

    def look() -> Any:
        job = client.get(answer.headers["location"]).json()
        assert job["state"] in ("queued", "running", "succeeded"), job
        return job["state"] == "succeeded" and job

    return eventually(look, "the job ends", log)["result"]
