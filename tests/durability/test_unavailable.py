"""A journal that cannot be written: 503 within the budget, the application alive, and back by itself."""

import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from tests.durability.arena import QUICK, Arena
from tests.durability.journal import eventually, row_of
from tests.durability.server import Server
from tests.durability.straced import failing

pytestmark = [pytest.mark.slow, pytest.mark.durability]

WITHIN = QUICK["budget"] + 0.75
"""Seconds for a 503: the budget, the watch's period, and what a busy machine adds."""

TMPFS = 2 * 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={TMPFS}", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def refused(arena: Arena, server: Server, times: int = 3) -> None:
    """Ask for jobs that cannot be stored, and see that everything else goes on."""
    for _ in range(times):
        began = time.monotonic()
        token, answer = arena.ask(server, "noop")
        assert answer.status_code == 503, answer.text
        assert time.monotonic() - began < WITHIN
        assert "retry-after" in answer.headers
        arena.witness.note("refused", token)
        began = time.monotonic()
        assert server.get("/ping").json() == server.pid
        assert time.monotonic() - began < 0.5


def accepted_again(arena: Arena, server: Server, before: list[str]) -> None:
    """See that jobs are taken again without a restart, that all run, and that those refused never do."""

    def accepted() -> bool:
        token, answer = arena.ask(server, "noop")
        if answer.status_code == 200:
            before.append(token)
            return True
        assert answer.status_code == 503
        arena.witness.note("refused", token)
        return False

    pid = server.pid
    eventually(accepted, "jobs are accepted again", 10)
    before += [arena.add(server, kind) for kind in ("nap", "sync", "declared", "noop")]
    for token in before:
        assert arena.final(token).succeeded, server.log()
    assert server.alive
    assert server.pid == pid
    arena.drain(server, 10)
    verdict = arena.verdict()
    verdict.assert_clean()
    assert verdict.figures["duplicates"] == 0


def test_disk_full(tmp_path: Path, small_disk: Path) -> None:
    arena = Arena(tmp_path, small_disk / "journal.db")
    try:
        server = arena.server().start()
        before = [arena.add(server, "noop"), arena.add(server, "nap", seconds=1.0)]
        with (small_disk / "filler").open("wb", buffering=0) as filler:
            _fill(filler.fileno())
            assert os.statvfs(small_disk).f_bavail == 0
            _fill_the_log(arena, server, before)
            refused(arena, server)
        (small_disk / "filler").unlink()
        accepted_again(arena, server, before)
        assert "full" in server.log()
    finally:
        arena.clean_up()


def _fill(fd: int) -> None:
    for size in (4096, 1):
        try:
            while True:
                os.write(fd, b"\0" * size)
        except OSError:
            continue


def _fill_the_log(arena: Arena, server: Server, taken: list[str]) -> None:
    """The log's pages that exist already can still be written to: use them up."""
    for _ in range(500):
        token, answer = arena.ask(server, "noop")
        if answer.status_code == 503:
            arena.witness.note("refused", token)
            return
        assert answer.status_code == 200
        taken.append(token)
    raise AssertionError("the disk is full and nobody has noticed")


def test_file_size_limit(arena: Arena) -> None:
    server = arena.server().start()
    before = [arena.add(server, "noop"), arena.add(server, "nap", seconds=1.0)]
    assert isinstance(arena.journal, Path)
    log = arena.journal.with_name(arena.journal.name + "-wal").stat().st_size
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (log, hard))
    _fill_the_log(arena, server, before)
    refused(arena, server)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))
    accepted_again(arena, server, before)


def test_another_program_holds_the_database(arena: Arena) -> None:
    server = arena.server().start()
    before = [arena.add(server, "noop"), arena.add(server, "nap", seconds=0.5)]
    arena.started(before[1])
    with closing(apsw.Connection(str(arena.journal))) as backup:
        backup.set_busy_timeout(5000)  # the server writes at any moment
        backup.execute("BEGIN EXCLUSIVE")
        refused(arena, server, 4)
        backup.execute("COMMIT")
    accepted_again(arena, server, before)


def test_a_process_stopped_inside_a_commit(arena: Arena) -> None:
    server = arena.server().start()
    before = [arena.add(server, "noop")]
    # Its lease outlasts the stop: else its job might rightly be run by the other process too.
    stopped = arena.server(config={"lease": 30.0}, faults=["stop_in_commit:1"]).start()
    token = "noop-stopped"
    arena.witness.note("intent", token)
    stopped.client.timeout = 0.1
    stopped.post_and_forget(f"/jobs/noop/{token}")
    eventually(stopped.is_stopped, "the other process is stopped in its commit")
    refused(arena, server, 3)
    stopped.go_on()
    # Its caller's budget ended in the middle of the commit: it runs, or it is called off.
    eventually(lambda: (row := row_of(arena.journal, token)) and row.final, "the end of the stopped commit")
    accepted_again(arena, server, before)


@pytest.mark.parametrize("error", ["EIO", "EROFS", "ENOSPC"])
@pytest.mark.parametrize("call", ["pwrite64", "fdatasync"])
def test_the_disk_fails(arena: Arena, error: str, call: str) -> None:
    server = arena.server().start()
    before = [arena.add(server, "noop")]
    with failing(server, call, error):
        refused(arena, server)
    accepted_again(arena, server, before)


def test_the_disk_fails_for_longer_than_a_lease(arena: Arena) -> None:
    """Who could not renew its lease is not buried by the first look at the journal after that."""
    server = arena.server().start()
    before = [arena.add(server, "noop"), *(arena.add(server, "nap", seconds=5.0) for _ in range(3))]
    for token in before:
        arena.started(token)
    until = time.monotonic() + 2 * QUICK["lease"]
    with failing(server, "fdatasync", "EIO"):
        while time.monotonic() < until:
            refused(arena, server, 1)
            time.sleep(0.05)
    accepted_again(arena, server, before)


def test_a_read_only_place_is_refused_at_the_start(tmp_path: Path, small_disk: Path) -> None:
    arena = Arena(tmp_path, small_disk / "journal.db")
    try:
        server = arena.server().start()
        token = arena.add(server, "noop")
        arena.final(token)
        server.terminate()
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        server.start(wait=False)
        assert server.ended() != 0
        assert "JournalUnavailable" in server.lines()
        assert str(arena.journal) in server.lines()
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
        server.start()
        arena.add(server, "noop")
        arena.drain(server)
        arena.verdict().assert_clean()
    finally:
        arena.clean_up()
