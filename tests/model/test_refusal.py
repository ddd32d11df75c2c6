"""Why a job is not claimed by its id."""

from postlude.model.refusal import Refusal, refusal_of
from postlude.model.state import Reason, Stored


def test_all_but_what_waits_are_refused() -> None:
    assert {state: refusal_of(state, None) for state in Stored} == {
        Stored.READY: None,
        Stored.PUBLISHED: None,
        Stored.SCHEDULED: Refusal.NOT_DUE,
        Stored.BLOCKED: Refusal.FOLLOWS,
        Stored.RUNNING: Refusal.RUNNING,
        Stored.PARKED: Refusal.PARKED,
        Stored.SUCCEEDED: Refusal.ENDED,
        Stored.FAILED: Refusal.ENDED,
        Stored.CANCELLED: Refusal.ENDED,
    }


def test_why_it_is_blocked() -> None:
    blocked = [refusal_of(Stored.BLOCKED, reason) for reason in (Reason.LIMIT, Reason.RATE, Reason.PAUSED)]
    assert blocked == [Refusal.LIMIT, Refusal.RATE, Refusal.PAUSED]
    assert refusal_of(Stored.READY, Reason.INTERRUPTED) is None
