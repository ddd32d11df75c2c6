"""What can happen to a journal in PostgreSQL alone: its server restarts, sessions end, clocks differ.

`POSTLUDE_RESTARTS` sets how often the server is restarted.
"""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest

from tests.durability.arena import Arena
from tests.durability.journal import eventually
from tests.durability.load import Load
from tests.durability.server import Server
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.durability, pytest.mark.alone]

RESTARTS: Final = int(os.environ.get("POSTLUDE_RESTARTS", "3"))
RESUMES: Final = 5.0
"""Seconds after which work goes on when the server can be reached again."""

STEADY: Final = {"lease": 15.0, "renew_every": 5.0, "budget": 5.0}
LATER: Final = 300
"""Seconds by which the clock of a host is ahead."""


@pytest.fixture
def own() -> Iterator[PostgresServer]:
    """A PostgreSQL that a test may hurt."""
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture
def hurt(own: PostgresServer, tmp_path: Path) -> Iterator[Arena]:
    """An arena on it."""
    arena = Arena(tmp_path, own.url)
    yield arena
    arena.clean_up()


def restart(own: PostgresServer) -> None:
    own.stop(signal.SIGQUIT)
    own.start()


async def resumes(load: Load) -> float:
    """Return the seconds until so much has been acknowledged that all connections have been served."""
    began, acked = time.monotonic(), load.acked
    await load.until(lambda: load.acked > acked + 64, "it goes on", RESUMES)
    return time.monotonic() - began


@pytest.mark.anyio
async def test_the_server_restarts_under_load(
    hurt: Arena, own: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server = hurt.server(config=STEADY, options=("--workers", "2")).start()
    took: list[float] = []
    async with Load(server, hurt.witness, 3) as load:
        await load.reach(300)
        for _ in range(RESTARTS):
            await asyncio.to_thread(restart, own)
            took.append(await resumes(load))
            await load.reach(load.acked + 200)
    await asyncio.to_thread(hurt.drain, server)
    verdict = hurt.verdict()
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{RESTARTS} restarts of PostgreSQL under load: {verdict}; answers {dict(load.answers)}; work "
            f"resumed within {max(took):.1f} s"
        )
    verdict.assert_clean()
    assert verdict.figures["duplicates"] == 0, "nobody was taken for dead"
    assert set(load.answers) <= {200, 503}


@pytest.mark.anyio
async def test_each_session_is_ended_under_load(
    hurt: Arena, own: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server = hurt.server(config=STEADY, options=("--workers", "2")).start()
    ended = 0
    names = set[str]()
    async with (
        Load(server, hurt.witness, 4) as load,
        await psycopg.AsyncConnection.connect(own.url, autocommit=True) as db,
    ):
        await load.reach(300)
        found = await db.execute(
            "SELECT pid, application_name FROM pg_stat_activity WHERE application_name LIKE 'postlude-%'"
        )
        for pid, name in await found.fetchall():
            done = await (await db.execute("SELECT pg_terminate_backend(%s)", (pid,))).fetchone()
            ended += done == (True,)
            names.add(name.split()[0])
            await resumes(load)
    await asyncio.to_thread(hurt.drain, server)
    verdict = hurt.verdict()
    with capsys.disabled():
        print(f"\n{ended} sessions ended under load: {verdict}; answers {dict(load.answers)}")  # noqa: T201
    verdict.assert_clean()
    assert ended >= 4
    assert "postlude-writer" in names
    assert verdict.figures["duplicates"] == 0, "nobody was taken for dead"
    assert set(load.answers) <= {200, 503}


@pytest.fixture
def shared(database: str, tmp_path: Path) -> Iterator[Arena]:
    """An arena on a server that no test hurts."""
    arena = Arena(tmp_path, database)
    yield arena
    arena.clean_up()


def test_stopped_for_three_leases_it_writes_no_result(shared: Arena) -> None:
    stopped = shared.server().start()
    token = shared.add(stopped, "stale", seconds=0.5)
    shared.started(token)
    stopped.stop()
    other = shared.server().start()
    taken_over = shared.started(token, 2)
    assert taken_over.pid == other.pid
    assert shared.final(token).succeeded
    time.sleep(3.0)  # three leases in all; the lease is what passes
    before = shared.row(token)
    stopped.go_on()
    eventually(lambda: len(shared.events("end", token)) == 2, "the stale run ends")
    assert shared.final(shared.add(stopped, "noop")).succeeded  # it has joined again, and is heard
    assert shared.row(token) == before
    assert before.failures == 0


def ahead() -> dict[str, str]:
    """Return the variables by which a process has a clock that is ahead."""
    libraries = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]
    assert libraries, "no libfaketime here: apt-get install libfaketime"
    return {
        "LD_PRELOAD": str(libraries[0]), "FAKETIME": f"+{LATER}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip


def test_clocks_that_differ_by_minutes(shared: Arena) -> None:
    """Nothing runs early, and nothing is stolen from a process whose clock is another."""
    early = shared.server().start()
    late = shared.server(variables=ahead()).start()
    offsets = {early.pid: 0, late.pid: LATER}
    due: dict[str, float] = {}
    for server in (early, late) * 3:
        asked = time.time()
        due[shared.add(server, "later", delay=2.0)] = asked + 2.0
    long = [shared.add(server, "nap", seconds=3.0) for server in (early, late)]
    added = time.time()
    for token in (*due, *long):
        assert shared.final(token).succeeded
    seen = {event.pid for event in shared.events("start")}
    assert seen == {early.pid, late.pid}
    for token, at in due.items():
        (start,) = shared.events("start", token)
        began = start.at / 1e9 - offsets[start.pid]
        assert at - 0.05 <= began < at + 10, f"{token} began {began - at:.2f} s after it was due"
    for token, server in zip(long, (early, late), strict=True):
        (start,) = shared.events("start", token)  # three leases of one second, and not run again
        assert start.pid == server.pid
        assert abs(start.at / 1e9 - offsets[start.pid] - added) < 10
        finished = shared.row(token).finished
        assert finished is not None
        assert abs(finished / 1e6 - added) < 15, "written in the server's time"


def test_the_clock_is_ahead(shared: Arena) -> None:
    """The test above is one: that process has another clock."""
    late: Server = shared.server(variables=ahead()).start()
    token = shared.add(late, "noop")
    assert shared.started(token).at / 1e9 > time.time() + LATER - 60
