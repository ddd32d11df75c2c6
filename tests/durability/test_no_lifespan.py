"""A server that runs no lifespan: jobs are stored, and run inside the requests that added them."""

import functools
import threading

import pytest

from tests.durability.arena import Arena
from tests.durability.journal import eventually

pytestmark = [pytest.mark.slow, pytest.mark.durability]

OFF = ("--lifespan", "off")


def test_jobs_run_inside_their_requests(arena: Arena) -> None:
    server = arena.server(options=OFF).start()
    for kind in ("noop", "nap", "sync", "declared"):
        token, answer = arena.ask(server, kind, seconds=0.2)
        assert answer.status_code == 200
        assert arena.final(token).succeeded
    _, answer = arena.ask(server, "several", jobs=3)
    assert answer.status_code == 200
    assert server.log().count("no lifespan runs on this event loop") == 1


@pytest.mark.parametrize("adds", [True, False], ids=["that add jobs", "of any kind"])
def test_what_a_kill_left_is_picked_up_by_later_requests(adds: bool, arena: Arena) -> None:
    server = arena.server(options=OFF).start()
    token = "nap-left"
    arena.witness.note("intent", token)
    ask = functools.partial(server.post_and_forget, f"/jobs/nap/{token}", seconds=1.5)
    asking = threading.Thread(target=ask)
    asking.start()
    arena.started(token)
    server.kill()
    asking.join()
    assert not arena.row(token).final
    server.start()

    def picked_up() -> bool:
        if adds:
            arena.add(server, "noop")
        else:
            server.get("/ping")
        return arena.row(token).final

    eventually(picked_up, "a later request runs it")
    assert arena.row(token).succeeded
    verdict = arena.verdict()
    verdict.assert_clean()
    assert verdict.figures["duplicates"] == 1
    assert server.log().count("no lifespan runs on this event loop") == 2, "once in each process"


def test_what_a_failing_journal_left_is_picked_up_by_later_requests(arena: Arena) -> None:
    server = arena.server(options=OFF, faults=["claim_breaks:1"]).start()
    token, answer = arena.ask(server, "nap", seconds=0.5)
    assert answer.status_code == 200
    eventually(lambda: "jobs stay in the journal and run later" in server.log(), "the journal's failure")
    assert not arena.row(token).final

    def picked_up() -> bool:
        _, answer = arena.ask(server, "noop")
        assert answer.status_code in (200, 503)
        return arena.row(token).final

    eventually(picked_up, "a later request runs it", 5)
    assert arena.row(token).succeeded
