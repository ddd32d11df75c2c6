"""Which due times have come, and what they become."""

from typing import Any
from uuid import UUID

import pytest

from postlude.clock import SECOND
from postlude.model.cron import BadRule, every
from postlude.model.overrides import Opts, lifted, read_opts
from postlude.model.schedule import (
    MOST,
    Missed,
    Schedule,
    digest_of,
    due_times,
    id_of,
    job_of,
    next_after,
    read_terms,
    write_terms,
)
from postlude.model.terms import Conflict, Given, Terms

NOW = 1_767_225_600 * SECOND
MINUTELY = Schedule("report", "app:report", "mail", every(60), "UTC", "once", 5 * SECOND, b"{}", "{}")


def runs(missed: str, late: int, minutes: int) -> list[bool]:
    times = due_times(MINUTELY._replace(missed=missed), NOW, NOW + minutes * 60 * SECOND + late * SECOND)
    assert [time.due for time in times] == [NOW + n * 60 * SECOND for n in range(1, minutes + 1)]
    return [time.runs for time in times]


def test_a_time_within_the_leeway_runs_whatever_is_said_of_missed_ones() -> None:
    assert [runs(missed, 5, 1) for missed in Missed] == [[True]] * 3


def test_what_becomes_of_those_that_are_later() -> None:
    assert runs("skip", 6, 3) == [False] * 3
    assert runs("once", 6, 3) == [False, False, True]
    assert runs("all", 6, 3) == [True] * 3


def test_one_in_time_stands_for_those_that_were_missed() -> None:
    assert runs("once", 5, 3) == runs("skip", 5, 3) == [False, False, True]
    assert runs("all", 5, 3) == [True] * 3


def test_a_clock_that_was_decades_behind_does_not_flood() -> None:
    times = due_times(MINUTELY._replace(rule="* * * * * *", missed="all"), 0, NOW)
    assert len(times) == MOST
    assert times[-1].due == NOW


def test_a_rule_of_another_release_is_no_end_of_all_schedules() -> None:
    strange = MINUTELY._replace(rule="at dawn")
    assert next_after(strange, NOW) is None
    with pytest.raises(BadRule):
        due_times(strange, NOW, NOW + SECOND)


def test_the_id_of_a_due_time_is_the_same_whoever_makes_it_and_of_no_other() -> None:
    id = id_of("report", NOW)
    assert id == id_of("report", NOW)
    assert len({id, id_of("report", NOW + 1), id_of("other", NOW)}) == 3
    assert UUID(bytes=id).version == 7
    assert UUID(bytes=id).variant == "specified in RFC 4122"
    assert int.from_bytes(id[:6]) == NOW // 1000


def test_terms_come_back_as_they_were() -> None:
    terms = Terms(
        priority=-3, once=True, owner="ada", key="k", conflict=Conflict.RAISE, concurrency_key="t",
        rated=True, given=Given('{"t":5}'),
    )  # fmt: skip
    assert read_terms(write_terms(terms)) == terms
    assert read_terms(write_terms(Terms())) == Terms()
    assert write_terms(Terms()) == "{}"


@pytest.mark.parametrize("text", ["", "[]", "7", "{", '{"later":1}'])
def test_terms_that_are_not_understood_are_left_out(text: str) -> None:
    assert read_terms(text) == Terms()


def test_a_job_says_what_it_comes_from_and_keeps_what_its_call_has_set() -> None:
    schedule = MINUTELY._replace(terms=write_terms(Terms(priority=2, given=Given(Opts(timeout=9).text()))))
    job = job_of(schedule, NOW + 7, due=NOW)
    assert (job.id, job.task, job.queue, job.payload) == (id_of("report", NOW), "app:report", "mail", b"{}")
    assert (job.created, job.terms.priority, job.terms.due) == (NOW + 7, 2, None)
    assert read_opts(job.terms.given.opts) == Opts(timeout=9, schedule="report", scheduled_for=NOW)
    assert read_opts(lifted(job.terms.given.opts)).scheduled_for == NOW  # also when it is run again
    by_hand = job_of(schedule, NOW, id=bytes(16))
    assert read_opts(by_hand.terms.given.opts) == Opts(timeout=9, schedule="report")


def test_a_set_is_the_same_in_any_order_and_another_if_anything_differs() -> None:
    other = MINUTELY._replace(name="other")
    assert digest_of([MINUTELY, other]) == digest_of([other, MINUTELY])
    values: dict[str, Any] = {**dict.fromkeys(Schedule._fields, "x"), "payload": b"1", "leeway": 7}
    changed = [MINUTELY._replace(**{field: value}) for field, value in values.items()]
    assert len({digest_of([each]) for each in [MINUTELY, *changed]}) == 1 + len(Schedule._fields)
