"""Cancelling a job, wherever it is: it is cancelled when it has stopped, and not before."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.durability.crew import Crew, Hand
from tests.durability.journal import eventually
from tests.durability.occupancy import notes, now
from tests.durability.reporting import Report, reporter

pytestmark = [pytest.mark.slow, pytest.mark.durability]

SOON = 1.0
"""Seconds in which a job has stopped that was asked to; another process looks four times a second."""
BUSY = 1.0
"""Seconds that a busy machine adds."""


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(tmp_path, "stubborn", {"grace": 0.5, "processes": 1})
    yield crew
    crew.clean_up()


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Report:
    return reporter(capsys, request)


@pytest.fixture(params=["here", "elsewhere"])
def hands(crew: Crew, request: pytest.FixtureRequest) -> tuple[Hand, Hand]:
    """Who runs jobs, and who asks for their end."""
    (hand,) = crew.serving()
    asking = hand if request.param == "here" else crew.hire()[0]
    asking.ask("ping")  # it has started
    return hand, asking


def add(hand: Hand, task: str, token: str, **arguments: object) -> str:
    (id,) = hand.ask("add", task=task, calls=[{"token": token, **arguments}])
    assert isinstance(id, str)
    return id


def test_a_queued_job_never_starts(crew: Crew, hands: tuple[Hand, Hand]) -> None:
    hand, asking = hands
    hand.ask("pause", queue="default")
    id, other = add(hand, "quick", "cancelled"), add(hand, "quick", "other")
    assert asking.ask("cancel", id=id) == "cancelled"
    assert asking.ask("cancel", id=id) == "too_late"
    hand.ask("resume", queue="default")
    assert hand.ask("end", id=other)["state"] == "succeeded"
    assert hand.ask("status", id=id)["state"] == "cancelled"
    assert {note.token for note in notes(crew.folder)} == {"other"}


@pytest.mark.parametrize("task", ["waits", "looks", "compute"])
def test_a_running_job_stops(crew: Crew, hands: tuple[Hand, Hand], report: Report, task: str) -> None:
    """An async one where it awaits, a sync one where it looks, one in a process with its process."""
    hand, asking = hands
    id = add(hand, task, task)
    came = crew.noted("come", task)
    began = now()
    assert asking.ask("cancel", id=id) == "asked"
    status = asking.ask("end", id=id)
    ended = (now() - began) / 1e9
    assert (status["state"], status["errors"]) == ("cancelled", [])
    if task == "compute":
        eventually(lambda: not Path(f"/proc/{came.pid}").exists(), "its process is gone")
        add(hand, "quick_process", "next")
        assert crew.noted("come", "next").pid != came.pid
        stopped = "with its process"
    else:
        left = crew.noted("leave", task)
        assert left.pid == hand.pid
        stopped = f"after {(left.at - began) / 1e9:.2f} s"
        assert left.at - began < (SOON + BUSY) * 1e9
    assert asking.ask("cancel", id=id) == "too_late"
    report(f"it stopped {stopped}, and was known to be cancelled {ended:.2f} s after it was asked")
    assert ended < 2 * SOON + BUSY


@pytest.mark.parametrize("task", ["looks_when_told", "looks_when_told_injected"])
def test_until_it_looks_it_is_running(
    crew: Crew, hands: tuple[Hand, Hand], tmp_path: Path, task: str
) -> None:
    hand, asking = hands
    go = tmp_path / "go"
    id = add(hand, task, "looks", file=str(go))
    crew.noted("come", "looks")
    assert asking.ask("cancel", id=id) == "asked"
    until = time.monotonic() + 0.6  # longer than another process takes to hear of it
    while time.monotonic() < until:
        status = asking.ask("status", id=id)
        assert (status["state"], status["cancel_asked"]) == ("running", True)
        time.sleep(0.05)
    assert asking.ask("cancel", id=id) == "asked"
    go.touch()
    assert asking.ask("end", id=id)["state"] == "cancelled"


def test_its_process_is_killed_before_it_has_stopped(crew: Crew) -> None:
    """Nobody runs again what was asked to stop."""
    first, asking = crew.serving()[0], crew.hire()[0]
    id = add(first, "looks_when_told", "looks", file="/nowhere")
    crew.noted("come", "looks")
    assert asking.ask("cancel", id=id) == "asked"
    crew.kill(first)
    crew.serving()
    assert asking.ask("end", id=id)["state"] == "cancelled"
    assert len(crew.runs()) == 1


def test_one_that_ignores_it_ends_with_its_process(crew: Crew) -> None:
    first, asking = crew.serving()[0], crew.hire()[0]
    id = add(first, "deaf", "deaf")
    crew.noted("come", "deaf")
    assert asking.ask("cancel", id=id) == "asked"
    crew.noted("told", "deaf", SOON + BUSY)
    assert asking.ask("status", id=id)["state"] == "running"
    first.leave()
    assert asking.ask("end", id=id)["state"] == "cancelled"
    assert [note.what for note in notes(crew.folder)].count("come") == 1
