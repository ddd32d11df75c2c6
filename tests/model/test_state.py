"""The table of legal moves, and the numbers that stand in users' files."""

import pytest

from postlude.model.state import FINAL, MOVES, QUEUED, State, Stored


def test_the_numbers_never_change() -> None:
    assert {stored.name: int(stored) for stored in Stored} == {
        "READY": 0,
        "SCHEDULED": 1,
        "BLOCKED": 2,
        "RUNNING": 3,
        "PARKED": 4,
        "PUBLISHED": 5,
        "SUCCEEDED": 8,
        "FAILED": 9,
        "CANCELLED": 10,
    }


def test_every_state_is_shown_as_one_of_six() -> None:
    assert {stored.public for stored in Stored} == set(State)
    queued = {stored for stored in Stored if stored.public is State.QUEUED}
    assert queued == QUEUED == {Stored.READY, Stored.SCHEDULED, Stored.BLOCKED, Stored.PUBLISHED}


def test_every_state_has_its_moves_and_none_to_itself() -> None:
    assert set(MOVES) == set(Stored)
    assert [stored for stored, after in MOVES.items() if stored in after] == []


@pytest.mark.parametrize("stored", Stored)
def test_from_every_state_an_end_can_be_reached(stored: Stored) -> None:
    seen, ahead = {stored}, [stored]
    while ahead:
        new = MOVES[ahead.pop()] - seen
        seen |= new
        ahead += new
    assert seen & FINAL
    assert stored.final == (stored in FINAL)


def test_ends() -> None:
    assert {stored for stored in Stored if stored.final} == {
        Stored.SUCCEEDED,
        Stored.FAILED,
        Stored.CANCELLED,
    }
    assert MOVES[Stored.SUCCEEDED] == frozenset(), "what has succeeded is never run again"
    assert MOVES[Stored.FAILED] == MOVES[Stored.CANCELLED] == {Stored.READY, Stored.BLOCKED}, "asked again"


def test_only_a_claim_starts_a_job() -> None:
    """A ready one, that perhaps a broker has, or one that comes along because it follows that."""
    starts = {stored for stored, after in MOVES.items() if Stored.RUNNING in after}
    assert starts == {Stored.READY, Stored.PUBLISHED, Stored.BLOCKED}


def test_all_but_what_has_succeeded_may_have_to_wait() -> None:
    """What runs only as a follower that is given back with the job before it."""
    blocked = {stored for stored, after in MOVES.items() if Stored.BLOCKED in after}
    assert blocked == set(Stored) - {Stored.BLOCKED, Stored.SUCCEEDED}


def test_whatever_has_not_ended_can_be_cancelled() -> None:
    assert {stored for stored, after in MOVES.items() if Stored.CANCELLED in after} == set(Stored) - FINAL
