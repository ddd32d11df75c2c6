"""SIGTERM: what runs is drained up to the grace period, the rest is another process's at once."""

import signal
import time

import pytest

from tests.durability.arena import Arena
from tests.durability.journal import eventually, look

pytestmark = [pytest.mark.slow, pytest.mark.durability]


def test_what_a_process_holds_is_drained(arena: Arena) -> None:
    server = arena.server(config={"loop_slots": 2, "threads": 2, "grace": 10.0}).start()
    tokens = [arena.add(server, "nap", seconds=0.3) for _ in range(6)]
    tokens += [arena.add(server, "sync", seconds=0.3) for _ in range(6)]
    arena.started(tokens[0])
    began = time.monotonic()
    server.terminate()
    assert time.monotonic() - began < 8
    assert "Application shutdown complete" in server.log()
    rows = [arena.row(token) for token in tokens]
    begun = {event.token for event in arena.events("start")}
    assert len(begun) >= 2
    assert all(row.succeeded for row in rows if row.token in begun), "what ran was not waited for"
    for row in rows:  # how far ahead a process claims is its own business
        assert row.succeeded or (row.state, row.fence) == (0, 0), row
    assert look(arena.journal, "SELECT * FROM runner") == []
    server.start()
    arena.drain(server)
    verdict = arena.verdict()
    verdict.assert_clean()
    assert verdict.figures["duplicates"] == 0


def test_what_outlasts_the_grace_period_is_released_uncharged(arena: Arena) -> None:
    server = arena.server(config={"loop_slots": 1, "threads": 1, "grace": 0.5}).start()
    running = [arena.add(server, "nap", seconds=30.0), arena.add(server, "sync", seconds=30.0)]
    for token in running:
        arena.started(token)
    waiting = [arena.add(server, "declared"), arena.add(server, "sync")]
    began = time.monotonic()
    server.terminate()
    assert time.monotonic() - began < 5, "the end took longer than grace and release"
    for token in running + waiting:
        row = arena.row(token)
        assert (row.state, row.deaths, row.suspect, row.failures) == (0, 0, 0, 0)
    assert look(arena.journal, "SELECT * FROM runner") == []


def test_another_process_takes_over_at_once(arena: Arena) -> None:
    leaving = arena.server(config={"grace": 0.3}).start()
    other = arena.server().start()
    token = arena.add(leaving, "stale", seconds=1.0)
    arena.started(token)
    leaving.terminate()
    gone = time.time_ns()
    second = arena.started(token, 2)
    assert second.pid == other.pid
    assert (second.at - gone) / 1e9 < 1.0
    assert arena.final(token).succeeded


def test_requests_during_the_drain_are_stored_for_others(arena: Arena) -> None:
    """A connection that is open when SIGTERM comes may still bring a request; it is not lost."""
    server = arena.server(config={"grace": 0.3}).start()
    token = arena.add(server, "nap", seconds=30.0)
    arena.started(token)
    server.signal(signal.SIGTERM)
    server.signal(signal.SIGTERM)
    server.ended()
    server.start()
    assert arena.started(token, 2).pid == server.pid


@pytest.mark.parametrize("hasty", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_loses_nothing(arena: Arena, hasty: signal.Signals) -> None:
    server = arena.server(config={"grace": 1.0}).start()
    token = arena.add(server, "stale", seconds=5.0)
    arena.started(token)
    server.signal(hasty)
    eventually(lambda: "Shutting down" in server.log(), "the server shuts down")
    server.signal(hasty)
    server.ended(5)
    server.start()
    assert arena.started(token, 2).pid == server.pid
    assert arena.row(token).deaths == 0
    assert arena.final(token).succeeded


def test_killed_in_the_grace_period(arena: Arena) -> None:
    """An orchestrator's patience may be shorter than ours: nobody is charged for it."""
    server = arena.server(config={"grace": 20.0}).start()
    token = arena.add(server, "stale", seconds=1.5)
    arena.started(token)
    server.signal(signal.SIGTERM)
    eventually(lambda: "Waiting for application shutdown" in server.log(), "the server drains")
    time.sleep(0.2)
    assert server.alive
    server.kill()
    server.start()
    assert arena.started(token, 2).pid == server.pid
    assert (arena.row(token).deaths, arena.row(token).suspect) == (0, 0)
    assert arena.final(token).succeeded
    arena.verdict().assert_clean()
