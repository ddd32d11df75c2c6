"""SIGKILL at random moments under load: nothing acknowledged is lost, nothing runs that nobody asked for.

`POSTLUDE_KILLS` sets how often workers are killed, `POSTLUDE_SEED` repeats a run.
"""

import asyncio
import os
import random
import time
from typing import Final

import pytest

from tests.durability.arena import EITHER, Arena
from tests.durability.journal import running
from tests.durability.load import Load

pytestmark = [pytest.mark.slow, pytest.mark.durability]

ACKNOWLEDGED: Final = 20_000
KILLS: Final = 20
ON_SERVER: Final = int(os.environ.get("POSTLUDE_KILLS_ON_SERVER", "4"))
"""How often servers and workers are killed with the journal in PostgreSQL, each."""

WORKER_KILLS: Final = int(os.environ.get("POSTLUDE_KILLS", "5"))


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("POSTLUDE_SEED") or random.SystemRandom().randrange(10**6))


@EITHER
@pytest.mark.anyio
async def test_one_process_killed_at_random_moments(
    arena: Arena, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, began = random.Random(seed), time.monotonic()
    kills = ON_SERVER if arena.on_server else KILLS
    acknowledged = ACKNOWLEDGED * kills // KILLS
    server = arena.server(config={"lease": 15.0, "renew_every": 5.0, "budget": 5.0}).start()
    in_flight: set[str] = set()
    claimed = 0

    def kill() -> None:
        nonlocal claimed
        server.kill()
        held = running(arena.journal)
        in_flight.update(held)
        claimed += len(held)

    async with Load(server, arena.witness, seed) as load:
        for _ in range(kills):
            await asyncio.sleep(rng.uniform(0.05, 0.8))
            kill()
            server.start(wait=False)
            if rng.random() < 0.2:  # while it starts, or recovers what the one before has left
                await asyncio.sleep(rng.uniform(0.3, 1.0))
                kill()
                server.start(wait=False)
            await load.until(server.located, "the server serves again")
        await load.reach(acknowledged)
    arena.drain(server)
    verdict = arena.verdict()
    again = {token for token, starts in _starts(arena).items() if starts > 1}
    with capsys.disabled():
        print(  # noqa: T201
            f"\nSIGKILL under load: {verdict}; {claimed} jobs in flight at the kills; "
            f"{load.acked} requests; answers {dict(load.answers)}; seed {seed}; "
            f"{time.monotonic() - began:.0f} s"
        )
    verdict.assert_clean()
    assert load.acked >= acknowledged
    assert verdict.figures["kills"] >= kills
    assert again <= in_flight, "a job ran twice that no killed process had held"
    assert verdict.figures["duplicates"] <= claimed
    assert set(load.answers) == {200}


@EITHER
@pytest.mark.anyio
async def test_workers_killed_one_by_one(arena: Arena, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    rng, began = random.Random(seed), time.monotonic()
    kills = ON_SERVER if arena.on_server else WORKER_KILLS
    server = arena.server(
        config={"lease": 15.0, "renew_every": 5.0, "reap_every": 1.0, "budget": 5.0},
        options=("--workers", "4"),
    ).start()
    dead: set[int] = set()
    async with Load(server, arena.witness, seed) as load:
        for _ in range(kills):
            load.pids.clear()
            await load.until(lambda: len(load.pids.keys() - dead) >= 2, "two workers answer")
            await asyncio.sleep(rng.uniform(0.05, 0.8))
            victim = rng.choice(sorted(load.pids.keys() - dead))
            server.kill(victim)
            dead.add(victim)
            await load.reach(load.acked + 1000)
    arena.drain(server)
    verdict = arena.verdict()
    with capsys.disabled():
        print(  # noqa: T201
            f"\nWorkers killed under load: {verdict}; {load.acked} requests; "
            f"answers {dict(load.answers)}; seed {seed}; {time.monotonic() - began:.0f} s"
        )
    verdict.assert_clean()
    assert verdict.figures["kills"] == kills
    assert set(load.answers) == {200}


@pytest.mark.anyio
@pytest.mark.parametrize(
    "arena, run",
    [("file", "everywhere"), ("file", "workers"), ("server", "workers")],
    indirect=["arena"],
)
async def test_servers_and_workers_killed_one_by_one(
    arena: Arena, seed: int, capsys: pytest.CaptureFixture[str], run: str
) -> None:
    """Where workers alone run the jobs, servers that store them are killed as well."""
    rng, began = random.Random(seed), time.monotonic()
    kills = ON_SERVER if arena.on_server else 2 * WORKER_KILLS
    config = {"lease": 15.0, "renew_every": 5.0, "reap_every": 1.0, "budget": 5.0, "run": run}
    server = arena.server(config=config, options=("--workers", "2")).start()
    worker = arena.worker(2, config=config).start()
    dead: set[int] = set()
    async with Load(server, arena.witness, seed) as load:
        for turn in range(kills):
            load.pids.clear()
            await load.until(lambda: len(load.pids.keys() - dead) >= 1, "a server answers")
            await load.until(lambda: len(worker.processes()) == 2, "two processes of the worker run")
            await asyncio.sleep(rng.uniform(0.05, 0.8))
            if turn % 2:
                # One that has run jobs, if there is one: another has to take its place.
                ran = {event.pid for event in arena.events("start")}
                worker.kill(rng.choice(sorted(ran.intersection(worker.processes())) or worker.processes()))
            else:
                victim = rng.choice(sorted(load.pids.keys() - dead))
                server.kill(victim)
                dead.add(victim)
            await load.reach(load.acked + 500)
    await asyncio.to_thread(arena.drain, server)
    runners = {event.pid for event in arena.events("start")}
    verdict = arena.verdict()
    with capsys.disabled():
        print(  # noqa: T201
            f"\nServers and workers killed under load, jobs run {run}: {verdict}; {load.acked} requests; "
            f"answers {dict(load.answers)}; seed {seed}; {time.monotonic() - began:.0f} s"
        )
    verdict.assert_clean()
    assert verdict.figures["kills"] == kills
    assert set(load.answers) == {200}
    assert len(runners) >= 3, "processes took the places of those that were killed"
    if run == "workers":
        assert not runners & dead, "servers have run nothing"


def _starts(arena: Arena) -> dict[str, int]:
    starts: dict[str, int] = {}
    for event in arena.events("start"):
        starts[event.token] = starts.get(event.token, 0) + 1
    return starts
