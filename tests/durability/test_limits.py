"""Limits and rates over all processes of a journal, measured by the jobs themselves.

Every figure is printed: how many ran at once, and how well the places were used that they were allowed.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.durability.crew import Crew
from tests.durability.journal import eventually
from tests.durability.occupancy import Stay, most_at_once, most_starts_within, use_of
from tests.durability.reporting import Report, reporter

pytestmark = [pytest.mark.slow, pytest.mark.durability]

SLOTS = 13
"""Async jobs that one process runs at once: it takes all eight to run two for each of fifty tenants."""


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(tmp_path, "bounded", {"loop_slots": SLOTS})
    yield crew
    crew.clean_up()


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Report:
    return reporter(capsys, request)


def prepared(
    crew: Crew, workers: int, task: str, calls: list[dict[str, Any]], queue: str = "default"
) -> None:
    """Let jobs wait and processes be ready, and then let all begin."""
    client = crew.hire()[0]
    client.ask("pause", queue=queue)
    client.ask("add", task=task, calls=calls)
    crew.serving(workers)
    client.ask("resume", queue=queue)


def tenants(jobs: int, seconds: float) -> list[dict[str, Any]]:
    return [{"tenant": f"t{n % 50}", "number": n, "seconds": seconds} for n in range(jobs)]


def each_once(runs: list[Stay], jobs: int) -> None:
    assert sorted(int(stay.token) for stay in runs) == list(range(jobs))


@pytest.mark.parametrize(
    ("jobs", "seconds", "share"),
    [(10_000, 0.005, 0.05), (4_000, 0.02, 0.1), (1_500, 0.2, 0.5)],
    ids=["short", "20 ms", "200 ms"],
)
def test_fifty_tenants_in_eight_processes(
    crew: Crew, report: Report, jobs: int, seconds: float, share: float
) -> None:
    """The shorter the jobs, the more of the time between them is the journal's."""
    prepared(crew, 8, "per_tenant", tenants(jobs, seconds))
    crew.finish()
    runs = crew.runs()
    each_once(runs, jobs)
    most, use = most_at_once(runs), use_of(runs, 2, 8 * SLOTS)
    report(f"at most {max(most.values())} of a tenant at once; {use}")
    assert set(most.values()) == {2}, "a tenant had more than its limit, or never all of it"
    assert len(most) == 50
    assert len({stay.pid for stay in runs}) == 8, "some process had no job at all"
    assert use.share > share


def test_a_killed_process_holds_no_place(crew: Crew, report: Report) -> None:
    jobs = 2_000
    client = crew.hire()[0]
    client.ask("add", task="per_tenant", calls=tenants(jobs, 0.02))
    hands = crew.serving(8)
    for number, hand in enumerate(hands[:3], 1):
        eventually(partial(crew.have_begun, 300 * number), "more jobs have begun")
        crew.kill(hand)
    crew.finish()
    runs = crew.runs()
    assert {int(stay.token) for stay in runs} == set(range(jobs))
    most = most_at_once(runs)
    report(f"{len(runs) - jobs} runs were cut off in 3 processes; at most {max(most.values())} at once")
    assert max(most.values()) == 2
    assert len(runs) - jobs <= 3 * SLOTS


@pytest.mark.parametrize("kind", ["together", "mail"])
def test_one_limit_of_three_for_all(crew: Crew, report: Report, kind: str) -> None:
    """`Limit(3)` of a task, and of a queue."""
    jobs = 600
    queue = "mail" if kind == "mail" else "default"
    prepared(crew, 4, kind, [{"number": n, "seconds": 0.02} for n in range(jobs)], queue)
    crew.finish()
    runs = crew.runs()
    each_once(runs, jobs)
    most, use = most_at_once(runs), use_of(runs, 3, 4 * SLOTS)
    report(f"at most {most[kind]} at once; {use}")
    assert most[kind] == 3
    # If a free place waited for the next look at the journal, four times a second in each: 0.17.
    assert use.share > 0.45


@pytest.mark.alone
def test_a_rate_of_fifty_a_second(crew: Crew, report: Report) -> None:
    jobs, rate = 250, 50
    prepared(crew, 4, "rated", [{"number": n} for n in range(jobs)])
    crew.finish()
    runs = crew.runs()
    each_once(runs, jobs)
    seconds = (runs[-1].came - runs[0].came) / 1e9
    most = most_starts_within(runs, 1.0)
    allowed = rate + rate * seconds
    report(f"{jobs} starts in {seconds:.2f} s of {allowed:.0f} allowed; at most {most} in a second")
    assert most <= 2 * rate
    # Let through at a claim and started a moment later, in one process sooner than in another.
    assert jobs <= allowed + rate * 0.1
    assert jobs >= 0.7 * allowed
