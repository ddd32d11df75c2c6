"""Jobs whose time is over, also those that will not hear of it: their places are back, and shutdown ends."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.durability.crew import Crew, Hand
from tests.durability.journal import eventually
from tests.durability.occupancy import notes
from tests.durability.reporting import Report, reporter

pytestmark = [pytest.mark.slow, pytest.mark.durability]

TIMEOUT = 0.4
PATIENCE = 1.0
"""Seconds that an interrupted job has; see `postlude.runner.executors.timeouts`."""
BUSY = 1.0
"""Seconds that a busy machine adds."""
GRACE = 0.5
CLOSING = 4.0
"""Seconds that the end of a process takes beyond the grace period, at most."""


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(tmp_path, "stubborn", {"loop_slots": 1, "threads": 8, "processes": 1, "grace": GRACE})
    yield crew
    crew.clean_up()


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Report:
    return reporter(capsys, request)


@pytest.fixture
def hand(crew: Crew) -> Hand:
    return crew.serving()[0]


def add(hand: Hand, task: str, *tokens: str, **using: object) -> list[str]:
    ids: list[str] = hand.ask("add", task=task, calls=[{"token": token} for token in tokens], **using)
    return ids


def ms(start: int, end: int) -> float:
    return (end - start) / 1e6


def test_a_task_that_ignores_its_cancellation_gives_its_place_away(
    crew: Crew, hand: Hand, report: Report
) -> None:
    (deaf,) = add(hand, "deaf", "deaf", timeout=TIMEOUT)
    came = crew.noted("come", "deaf")
    add(hand, "quick", "next")
    told, following = crew.noted("told", "deaf"), crew.noted("come", "next")
    status = hand.ask("end", id=deaf)
    assert (status["state"], status["attempt"]) == ("failed", 1)
    assert "TimeoutError" in status["errors"][0]
    assert ms(came.at, told.at) >= TIMEOUT * 1000 - 5
    assert ms(came.at, following.at) < (TIMEOUT + PATIENCE + BUSY) * 1000
    took = hand.leave()
    report(
        f"told after {ms(came.at, told.at):.0f} ms of {TIMEOUT * 1000:.0f}, its only place is another's "
        f"{ms(told.at, following.at):.0f} ms later; the process ended in {took:.1f} s"
    )
    assert took < GRACE + CLOSING


def test_eight_hung_threads_do_not_stop_the_lane(crew: Crew, hand: Hand, report: Report) -> None:
    began = time.monotonic()
    hung = add(hand, "hang", *(f"hung{n}" for n in range(8)), timeout=TIMEOUT)
    for number in range(8):
        crew.noted("come", f"hung{number}")
    add(hand, "quick_sync", *(f"next{n}" for n in range(8)))
    for id in hung:
        status = hand.ask("end", id=id)
        assert (status["state"], status["attempt"]) == ("failed", 1)
        assert "TimeoutError" in status["errors"][0]
    for number in range(8):
        crew.noted("come", f"next{number}")
    last = time.monotonic() - began
    assert hand.ask("hung") == 8
    assert hand.log().count("hangs in its thread") == 8
    took = hand.leave()
    report(f"8 of 8 threads hung; 8 other jobs had run {last:.1f} s after; the process ended in {took:.1f} s")
    assert last < TIMEOUT + PATIENCE + 2 * BUSY
    assert took < GRACE + CLOSING


def test_so_do_eight_that_have_dependencies(crew: Crew, report: Report) -> None:
    (hand,) = crew.serving(loop_slots=8)
    hung = add(hand, "hang_injected", *(f"hung{n}" for n in range(8)), timeout=TIMEOUT)
    for number in range(8):
        crew.noted("come", f"hung{number}")
    began = time.monotonic()
    add(hand, "quick_injected", *(f"next{n}" for n in range(8)))
    for number in range(8):
        crew.noted("come", f"next{number}")
    last = time.monotonic() - began
    for id in hung:
        assert hand.ask("end", id=id)["state"] == "failed"
    took = hand.leave()
    report(f"8 of 8 threads hung; 8 other jobs had run {last:.1f} s after; the process ended in {took:.1f} s")
    assert last < TIMEOUT + PATIENCE + 2 * BUSY
    assert took < GRACE + CLOSING


def test_a_process_that_computes_for_ever_is_killed(crew: Crew, hand: Hand, report: Report) -> None:
    (compute,) = add(hand, "compute", "compute", timeout=TIMEOUT)
    came = crew.noted("come", "compute")
    status = hand.ask("end", id=compute)
    took = time.clock_gettime(time.CLOCK_MONOTONIC) - came.at / 1e9
    assert (status["state"], status["attempt"]) == ("failed", 1)
    assert "TimeoutError" in status["errors"][0]
    eventually(lambda: not Path(f"/proc/{came.pid}").exists(), "its process is gone")
    assert came.pid != hand.pid
    add(hand, "quick_process", "next")
    assert crew.noted("come", "next").pid not in (hand.pid, came.pid)
    report(f"it had failed {took:.2f} s after its start, with {TIMEOUT} s of time")
    assert took < TIMEOUT + PATIENCE + BUSY
    assert hand.leave() < GRACE + CLOSING


def test_every_attempt_has_its_timeout(crew: Crew, hand: Hand) -> None:
    (slow,) = add(hand, "slow_thrice", "slow")
    status = hand.ask("end", id=slow)
    assert (status["state"], len(status["errors"])) == ("failed", 3)
    assert all("TimeoutError" in error for error in status["errors"])
    for stay in crew.runs():
        assert 195 < ms(stay.came, stay.left) < 200 + BUSY * 1000


def test_a_deadline_ends_all_attempts(crew: Crew, hand: Hand, report: Report) -> None:
    (id,) = add(hand, "fails", "fails", deadline=1.0)
    status = hand.ask("end", id=id)
    runs = crew.runs()
    over = ms(runs[0].came, runs[-1].left) / 1000
    report(f"{len(runs)} attempts in {over:.2f} s of 1.0")
    assert (status["state"], status["reason"]) == ("failed", "deadline")
    assert 2 <= len(runs) <= 5
    assert over < 1.0
    # The one after them may have been too late to start.
    assert all("ValueError" in error for error in status["errors"][: len(runs)])
    assert all("before this one could start" in error for error in status["errors"][len(runs) :])


def test_the_last_attempt_has_what_is_left_of_the_deadline(crew: Crew, hand: Hand) -> None:
    (id,) = add(hand, "waits", "waits", deadline=0.5, timeout=60)
    assert (hand.ask("end", id=id)["state"]) == "failed"
    (run,) = crew.runs()
    assert ms(run.came, run.left) < 500 + BUSY * 1000


def test_what_has_expired_does_not_start(crew: Crew, hand: Hand) -> None:
    hand.ask("pause", queue="default")
    late, timely = add(hand, "quick", "late", expires=0.2), add(hand, "quick", "timely", expires=60)
    time.sleep(0.25)
    hand.ask("resume", queue="default")
    status = hand.ask("end", id=late[0])
    assert (status["state"], status["reason"]) == ("cancelled", "expired")
    assert hand.ask("end", id=timely[0])["state"] == "succeeded"
    assert {note.token for note in notes(crew.folder)} == {"timely"}


@pytest.mark.parametrize("task", ["deaf", "waits", "hang", "compute", "hang_injected"])
def test_none_of_them_holds_up_shutdown(crew: Crew, hand: Hand, report: Report, task: str) -> None:
    """Nobody has interrupted it before: it runs at the end of the grace period, and is another's then."""
    (id,) = add(hand, task, task)
    crew.noted("come", task)
    took = hand.leave()
    report(f"ended in {took:.2f} s, {GRACE} of them grace")
    assert took < GRACE + CLOSING
    (client,) = crew.hire()
    status = client.ask("status", id=id)
    assert (status["state"], status["attempt"]) == ("queued", 1)
