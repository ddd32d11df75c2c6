"""Jobs that block: threads, or the event loop itself. The application and the other jobs go on."""

import statistics
import time

import pytest

from tests.durability.arena import QUICK, Arena
from tests.durability.journal import eventually
from tests.durability.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.durability]


@pytest.mark.alone
def test_41_sync_tasks_leave_sync_routes_their_threads(
    arena: Arena, capsys: pytest.CaptureFixture[str]
) -> None:
    server = arena.server(config={"lease": 15.0, "renew_every": 5.0, "grace": 0.1}).start()
    alone = pings(server, 1.0)
    tokens = [arena.add(server, "sync", seconds=60.0) for _ in range(41)]
    eventually(lambda: len(arena.events("start")) == 40, "the tasks run")
    assert server.get("/threads").json() == 0, "jobs use the threads of endpoints"
    waits = pings(server, 2.0)
    assert not any(arena.row(token).final for token in tokens), "tasks had ended before the pings"
    with capsys.disabled():
        print(  # noqa: T201
            f"\n41 sync tasks: {len(waits)} pings, median {statistics.median(waits):.1f} ms, "
            f"max {max(waits):.1f} ms"
        )
    # Where other work keeps the machine busy, a ping that waits for no thread waits for a processor.
    assert statistics.median(waits) < max(50, 4 * statistics.median(alone))
    assert statistics.quantiles(waits, n=20)[-1] < max(50, 4 * statistics.quantiles(alone, n=20)[-1])


def pings(server: Server, seconds: float) -> list[float]:
    """Return how many milliseconds answers of a sync route have taken."""
    waits = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        assert server.get("/ping").status_code == 200
        waits.append((time.perf_counter() - began) * 1000)
        time.sleep(0.02)
    return waits


def test_a_blocked_loop_keeps_its_job_and_loses_what_waits(arena: Arena) -> None:
    blocked = arena.server(config={"loop_slots": 1}).start()
    other = arena.server().start()  # a busy machine takes seconds to start one
    token = arena.add(blocked, "blocked", jobs=4, seconds=3.5 * QUICK["lease"], behind=4)
    arena.started(token)
    waiting = [f"{token}.{number}" for number in range(4)]
    for each in waiting:
        assert arena.started(each).pid == other.pid
    assert not arena.events("end", token), "the loop was free again before the others had started"
    assert arena.final(token).succeeded
    assert [event.pid for event in arena.events("start", token)] == [blocked.pid]
    named = [line for line in blocked.log().splitlines() if "has not turned" in line]
    assert len(named) == 1
    assert "served:block" in named[0]
    assert "4 waiting jobs were released" in named[0]
    assert "time.sleep(seconds)" in blocked.log(), "the stack is shown"
    arena.verdict().assert_clean()


def test_a_stopped_process_loses_its_jobs_and_cannot_write_their_ends(arena: Arena) -> None:
    zombie = arena.server().start()
    token = arena.add(zombie, "stale", seconds=0.3)
    arena.started(token)
    zombie.stop()
    other = arena.server().start()
    assert arena.started(token, 2).pid == other.pid
    assert arena.final(token).succeeded
    zombie.go_on()
    eventually(lambda: "this attempt does not count" in zombie.log(), "the stale end is refused")
    row = arena.row(token)
    assert (row.succeeded, row.failures, row.fence) == (True, 0, 2)
    eventually(lambda: "it joins again" in zombie.log(), "the zombie notices")
    assert "was removed in use" not in zombie.log(), "those who buried it have removed its file"
    later = arena.add(zombie, "noop")
    assert arena.final(later).succeeded
    verdict = arena.verdict()
    assert list(verdict.violated) == ["unbounded", "overlaps"], "it did run twice at once: that is a zombie"
    assert verdict.figures["duplicates"] == 1


def test_a_process_that_was_taken_for_dead_keeps_its_new_marks_apart(arena: Arena) -> None:
    """What it had started before ends later, and must not wipe out the mark of what it runs now."""
    zombie, other = arena.server().start(), arena.server().start()
    before = arena.add(zombie, "nap", seconds=3.5)
    arena.started(before)
    zombie.stop()
    arena.started(before, 2)
    zombie.go_on()
    eventually(lambda: "it joins again" in zombie.log(), "the zombie notices")
    now = arena.add(zombie, "nap", seconds=6.0)
    assert arena.started(now).pid == zombie.pid
    eventually(lambda: any(e.pid == zombie.pid for e in arena.events("end", before)), "the first one's end")
    zombie.kill()
    assert arena.started(now, 2).pid == other.pid
    assert arena.row(now).deaths == 1, "nobody knows that it had started"
    other.terminate()
