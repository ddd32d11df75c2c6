"""How far ahead a runner claims."""

from postlude.runner.pace import AHEAD_OF, MEASURED_OVER, Pace

SLOTS, MOST = 40, 1024


def test_slow_jobs_are_hardly_claimed_ahead() -> None:
    pace = Pace(SLOTS, MOST, now=0.0)
    for second in range(1, 60):
        pace.ended(4, now=float(second))
    assert pace.limit == SLOTS


def test_short_jobs_are_claimed_far_ahead_at_once() -> None:
    pace = Pace(SLOTS, MOST, now=0.0)
    pace.ended(600, now=MEASURED_OVER)
    assert pace.limit == MOST


def test_the_limit_is_what_starts_within_a_moment() -> None:
    pace = Pace(SLOTS, MOST, now=0.0)
    pace.ended(1000, now=1.0)
    assert pace.limit == SLOTS + round(1000 * AHEAD_OF)


def test_a_pause_lowers_it_by_steps() -> None:
    pace = Pace(SLOTS, MOST, now=0.0)
    pace.ended(600, now=MEASURED_OVER)
    pace.ended(0, now=10.0)
    assert pace.limit == MOST * 3 // 4


def test_it_is_never_more_than_was_allowed() -> None:
    assert Pace(SLOTS, 10, now=0.0).limit == 10


def test_one_report_is_no_rate() -> None:
    pace = Pace(SLOTS, MOST, now=0.0)
    pace.ended(600, now=MEASURED_OVER / 2)
    assert pace.limit == 2 * SLOTS


def test_before_anything_has_ended_each_free_place_is_asked_for() -> None:
    """They may be slow: nothing is to be idle."""
    pace = Pace(SLOTS, MOST, now=0.0)
    assert pace.low == pace.limit - 1


def test_short_jobs_are_asked_for_many_at_a_time() -> None:
    pace = Pace(SLOTS, MOST, now=0.0)
    pace.ended(600, now=MEASURED_OVER)
    assert pace.low == MOST // 2


def test_slow_jobs_are_asked_for_as_they_end() -> None:
    """With as many places as may be held, half of them would be idle before more is asked for."""
    pace = Pace(MOST, MOST, now=0.0)
    pace.ended(10, now=1.0)
    assert pace.low == MOST - 1


def test_of_those_between_what_ends_in_half_a_moment_is_asked_for() -> None:
    pace = Pace(SLOTS, MOST, now=0.0)
    pace.ended(1000, now=1.0)
    assert pace.low == pace.limit - 1 - round(1000 * AHEAD_OF) // 2


def test_who_may_hold_one_asks_when_it_holds_none() -> None:
    pace = Pace(1, 1, now=0.0)
    assert (pace.limit, pace.low) == (1, 0)
