"""Tasks that raise what nobody catches, or that take their process along."""

import pytest

from tests.durability.arena import Arena
from tests.durability.journal import look

pytestmark = [pytest.mark.slow, pytest.mark.durability]

ERRORS = (
    "SystemExit",
    "KeyboardInterrupt",
    "CancelledError",
    "GeneratorExit",
    "ExceptionGroup",
    "BaseExceptionGroup",
)
"""The keys of `served.ERRORS`, which is imported by the server alone."""


def test_what_tasks_raise_reaches_nobody_else(arena: Arena) -> None:
    server = arena.server().start()
    neighbours = [arena.add(server, "nap", seconds=1.0), arena.add(server, "sync", seconds=1.0)]
    raised = [
        (error, arena.add(server, "raise", error=error, sync=sync))
        for error in ERRORS
        for sync in (False, True)
    ]
    for error, token in raised:
        row = arena.final(token)
        assert (row.state, row.failures, row.deaths) == (9, 1, 0), (error, row)
        attempts = look(arena.journal, f"SELECT n, error FROM attempt WHERE job = {row.seq}")
        assert [number for number, _ in attempts] == [1]
        assert error in attempts[0][1]
    for token in neighbours:
        assert arena.final(token).succeeded
    assert server.get("/ping").json() == server.pid
    assert arena.final(arena.add(server, "sync")).succeeded
    assert server.log().count("Traceback") == len(raised), "each is logged once, with its traceback"
    verdict = arena.verdict()
    verdict.assert_clean()
    assert verdict.figures["duplicates"] == 0


@pytest.mark.parametrize("how", ["exit", "abort"])
def test_a_job_that_kills_its_process_fails_and_its_neighbours_succeed(arena: Arena, how: str) -> None:
    server = arena.server().start()
    innocent = [arena.add(server, "declared", seconds=0.7) for _ in range(3)]
    innocent += [arena.add(server, "sync", seconds=0.7) for _ in range(2)]
    for token in innocent:
        arena.started(token)
    poison = "die-0-poison"
    arena.witness.note("intent", poison)
    server.post_and_forget(f"/jobs/die/{poison}", how=how)
    deaths = 0
    while True:
        code = server.died()
        assert code in (1, -6)
        deaths += 1
        assert deaths <= 5, "the poison job goes on killing"
        if arena.row(poison).deaths == 2 and len(arena.events("start", poison)) == deaths:
            break
        server.start(wait=False)
    server.start()
    row = arena.final(poison)
    assert (row.state, row.reason, row.deaths) == (9, "killed", 3)
    for token in innocent:
        row = arena.final(token)
        assert (row.succeeded, row.deaths) == (True, 0)
    assert arena.final(arena.add(server, "noop")).succeeded
    assert len(arena.events("start", poison)) == deaths <= 4
    arena.verdict().assert_clean()
