"""Killed at every single write that the kernel is asked for: what was acknowledged is there."""

import pytest

from tests.durability.arena import Arena
from tests.durability.straced import need_strace

pytestmark = [pytest.mark.slow, pytest.mark.durability]

CALLS = ("pwrite64", "fdatasync", "ftruncate", "unlink")


@pytest.mark.parametrize("call", CALLS)
def test_killed_at_every_call(arena: Arena, call: str, capsys: pytest.CaptureFixture[str]) -> None:
    need_strace()
    done = arena.run("sweep", call)
    assert done.returncode == 0, done.stderr
    server = arena.server().start()
    arena.drain(server)
    verdict = arena.verdict()
    with capsys.disabled():
        print(f"\nkilled at each {call}: {verdict}", end="")  # noqa: T201
    verdict.assert_clean()
    assert verdict.figures["kills"] == int(done.stdout) > 0


@pytest.mark.parametrize("call", CALLS)
def test_killed_while_the_journal_is_made(arena: Arena, call: str) -> None:
    need_strace()
    done = arena.run("sweep", call, "--fresh")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
