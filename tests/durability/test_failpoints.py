"""SIGKILL exactly before and exactly after a commit, and forks of a process with an open journal."""

import random

import pytest

from tests.durability.arena import EITHER, Arena
from tests.durability.journal import read_rows

pytestmark = [pytest.mark.slow, pytest.mark.durability]

CHILDREN = 60


@EITHER
@pytest.mark.parametrize("fault", ["before_commit", "after_commit"])
def test_killed_at_a_commit(arena: Arena, fault: str) -> None:
    rng = random.Random(fault)
    children = CHILDREN // 4 if arena.on_server else CHILDREN
    at = [rng.randint(1, 8) for _ in range(children)]
    done = arena.run("crasher", *(f"{fault}:{nth}" for nth in at))
    assert done.returncode == 0, done.stderr
    rows = read_rows(arena.journal).by_token
    for number, nth in enumerate(at):
        tokens = [f"{fault}:{nth}-{number}-{count}" for count in range(nth)]
        assert [token in rows for token in tokens[:-1]] == [True] * (nth - 1)
        assert (tokens[-1] in rows) == (fault == "after_commit")
    server = arena.server().start()
    arena.drain(server)
    verdict = arena.verdict()
    verdict.assert_clean()
    assert verdict.figures["kills"] == children
    assert verdict.figures["acknowledged"] == sum(at) - children
    assert verdict.figures["duplicates"] == 0


@pytest.mark.parametrize("fault", ["before_commit", "after_commit"])
def test_a_server_killed_at_the_commit_of_a_receipt(arena: Arena, fault: str) -> None:
    for nth in range(1, 6):
        server = arena.server(faults=[f"{fault}:{nth}"]).start()
        for _ in range(nth - 1):
            arena.add(server, "noop")
        unanswered = f"{fault}-{nth}"
        arena.witness.note("intent", unanswered)
        server.post_and_forget(f"/jobs/noop/{unanswered}")
        assert server.died() == -9
        assert (unanswered in read_rows(arena.journal).by_token) == (fault == "after_commit")
    server = arena.server().start()
    arena.drain(server)
    arena.verdict().assert_clean()


def test_a_forked_child_is_told(arena: Arena) -> None:
    done = arena.run("forked")
    assert done.returncode == 0, done.stderr
    said, code = done.stdout.splitlines()
    assert said.startswith("ForkedJournal this process was forked after the journal had been opened")
    assert code == "7"
    rows = read_rows(arena.journal)
    assert [row.token for row in rows.all] == ["before", "after"]
    assert rows.damage == []
