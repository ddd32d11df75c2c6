"""The checker finds what it is there to find: each mistake, put in on purpose, turns it red."""

import asyncio
import random

import pytest

from tests.durability.arena import EITHER, Arena
from tests.durability.checker import Verdict
from tests.durability.journal import eventually, unfinished
from tests.durability.load import Load
from tests.durability.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.durability]


async def killed_under_load(arena: Arena, server: Server, kills: int = 3) -> Verdict:
    """Kill a server under load, let a sound one drain what it left, and check."""
    rng = random.Random(1)
    server.start()
    async with Load(server, arena.witness, 1) as load:
        for _ in range(kills):
            aim = load.acked + rng.randint(300, 600)
            await load.until(lambda aim=aim: load.acked >= aim, f"{aim} acknowledged")  # type: ignore[misc]
            server.kill()
            server.start(wait=False)
            await load.until(server.located, "the server serves again")
        await load.reach(load.acked + 300)
    await asyncio.to_thread(_drain_if_it_can, arena, server)
    return arena.verdict()


def _drain_if_it_can(arena: Arena, server: Server) -> None:
    try:
        eventually(lambda: not unfinished(arena.journal), "no job is left", 3)
    except AssertionError:
        server.kill()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "arena, mutant, invariants",
    [
        ("file", None, set[str]()),
        ("file", "answers_early", {"lost"}),
        ("file", "forgets_when_asked_much", {"lost"}),
        ("file", "never_recovers", {"lost", "unfinished"}),
        ("file", "stores_twice", {"phantoms", "unbounded"}),
        ("server", "answers_early", {"lost"}),
    ],
    indirect=["arena"],
)
async def test_a_mistake_is_found(arena: Arena, mutant: str | None, invariants: set[str]) -> None:
    server = arena.server(faults=[mutant] if mutant else [])
    verdict = await killed_under_load(arena, server)
    assert verdict.violated.keys() >= invariants, verdict
    if mutant is None:
        verdict.assert_clean()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "arena, mutant",
    [("file", None), ("file", "buries_the_living"), ("server", "buries_the_living")],
    indirect=["arena"],
)
async def test_without_a_fault_nothing_runs_twice(arena: Arena, mutant: str | None) -> None:
    server = arena.server(faults=[mutant] if mutant else [], options=("--workers", "2")).start()
    async with Load(server, arena.witness, 2) as load:
        await load.reach(3000 if mutant is None else 9000)  # not each burial meets a job that has begun
    await asyncio.to_thread(arena.drain, server)
    verdict = arena.verdict()
    if mutant is None:
        verdict.assert_clean()
        assert verdict.figures["duplicates"] == 0
    else:
        assert "unbounded" in verdict.violated, verdict


@EITHER
def test_a_missing_fence_is_found(arena: Arena) -> None:
    zombie = arena.server(faults=["finishes_without_fence"]).start()
    token = arena.add(zombie, "stale", seconds=0.3)
    arena.started(token)
    zombie.stop()
    other = arena.server().start()
    arena.started(token, 2)
    assert arena.final(token).succeeded
    other.terminate()
    zombie.go_on()
    eventually(lambda: not arena.row(token).succeeded, "the stale end overwrites the result")
