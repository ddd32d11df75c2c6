"""Keys over all processes of a journal: one unfinished job of a task has each, whoever adds how often."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.durability.crew import Crew, Hand
from tests.durability.journal import look
from tests.durability.occupancy import overlapping
from tests.durability.reporting import Report, reporter

pytestmark = [pytest.mark.slow, pytest.mark.durability]

KEYS = 100
TIMES = 1250
"""How often each of eight processes adds."""

ALIASES = "SELECT lower(hex(a.id)), lower(hex(j.id)) FROM alias AS a JOIN job AS j ON j.seq = a.job"

Answers = list[tuple[str, str | None]]


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(tmp_path, "bounded")
    yield crew
    crew.clean_up()


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Report:
    return reporter(capsys, request)


def added(hands: list[Hand], **using: Any) -> Answers:
    """Let all of them add at once; returns each key with the id, or None where it was refused."""
    for hand in hands:
        hand.ask("ping")  # it has started, and has opened the journal
    for hand in hands:
        hand.tell("hammer", task="keyed", times=TIMES, keys=KEYS, at_once=16, seconds=0.002, **using)
    return [(key, id) for hand in hands for key, id in hand.hear()]


def journal_of(crew: Crew) -> dict[str, str]:
    """Return the keys of all jobs with their ids, and see that each is there once."""
    rows = look(crew.journal, "SELECT key, lower(hex(id)) FROM job")
    assert len(rows) == len(dict(rows)), "a key has two jobs"
    return dict(rows)


def plain(id: str | None) -> str:
    assert id is not None
    return id.replace("-", "")


def test_ten_thousand_calls_with_a_hundred_keys_are_a_hundred_jobs(crew: Crew, report: Report) -> None:
    hands = crew.hire(8)
    answers = added(hands)
    jobs = journal_of(crew)
    assert len(answers) == 8 * TIMES
    assert len(jobs) == KEYS
    joined = dict(look(crew.journal, ALIASES))
    assert len(joined) == 8 * TIMES - KEYS
    for key, id in answers:
        assert joined.get(plain(id), plain(id)) == jobs[key]
    ids = [id for _, id in answers[:: len(answers) // 500]]
    resolved = hands[0].ask("resolve", ids=ids)
    assert {plain(id) for id in resolved} <= set(jobs.values())
    crew.serving(1)
    crew.finish()
    assert len(crew.runs()) == KEYS
    report(f"{len(answers)} calls in 8 processes, {len(jobs)} jobs, {len(joined)} ids that stand for them")


def test_a_taken_key_is_refused(crew: Crew, report: Report) -> None:
    answers = added(crew.hire(8), on_conflict="raise")
    jobs = journal_of(crew)
    accepted = {key: plain(id) for key, id in answers if id is not None}
    refused = sum(id is None for _, id in answers)
    assert accepted == jobs
    assert (len(jobs), refused) == (KEYS, 8 * TIMES - KEYS)
    assert look(crew.journal, "SELECT count(*) FROM alias") == [(0,)]
    report(f"{len(jobs)} calls accepted, {refused} refused")


@pytest.mark.parametrize("conflict", ["keep", "replace"])
def test_runs_of_one_key_never_overlap(crew: Crew, report: Report, conflict: str) -> None:
    """Workers finish the jobs of keys that others add again meanwhile."""
    crew.serving(4)
    answers = added(crew.hire(4), on_conflict=conflict)
    crew.finish()
    runs = crew.runs()
    jobs = look(crew.journal, "SELECT count(*) FROM job")[0][0]
    assert overlapping(runs) == []
    assert len(runs) == jobs
    assert {stay.group for stay in runs} == {key for key, _ in answers}
    assert jobs > KEYS, "no key was free again while the others added"
    assert jobs + look(crew.journal, "SELECT count(*) FROM alias")[0][0] == len(answers)
    report(f"{len(answers)} calls, {jobs} jobs, {len(runs)} runs, none beside another of its key")
