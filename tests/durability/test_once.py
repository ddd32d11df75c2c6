"""Delivery at most once: never a second run, and no run lost by an orderly end."""

import pytest

from tests.durability.arena import EITHER, Arena

pytestmark = [pytest.mark.slow, pytest.mark.durability]


@EITHER
def test_what_had_not_started_at_the_end_of_grace_runs_later(arena: Arena) -> None:
    config = {"delivery": "at_most_once", "threads": 1, "loop_slots": 1, "grace": 0.3}
    server = arena.server(config=config).start()
    running = arena.add(server, "sync", seconds=30.0)
    arena.started(running)
    waiting = [arena.add(server, "sync", seconds=0.0) for _ in range(3)]
    server.terminate()
    assert (arena.row(running).state, arena.row(running).reason) == (9, "may_have_run")
    for token in waiting:
        assert arena.row(token).state == 0, arena.row(token)
    server.start()
    for token in waiting:
        assert arena.final(token).succeeded
    arena.verdict().assert_clean()
