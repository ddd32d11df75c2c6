"""Failures of one kind, and what people have done."""

from collections.abc import Callable
from typing import Any

import pytest

from postlude.config import AUDIT_SECONDS, Keep
from postlude.errors import KeyTaken
from postlude.model.failure import FailureGroup
from postlude.model.job import JobFilter, NewJob
from postlude.model.outcome import Failed
from postlude.model.state import State
from postlude.model.terms import Conflict
from postlude.stores.protocol import Pause
from postlude.stores.values import AuditLine, Deed
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver
from postlude.testing.conformance.schedules import declare, schedule

ADA = Deed("cli:ada@host", "retry", "--state failed", b"a" * 16)
BOB = Deed("cli:bob@host", "delete", "--all", b"b" * 16)


def raised(kind: str = "ValueError", line: int = 31) -> Failed:
    """Return the failure of an attempt that has raised this in the application."""
    return Failed(f"{kind}: no {line}", f'  File "/srv/app/shop/mail.py", line {line}, in send\n{kind}: no')


def groups(driver: Driver, since: int = 0) -> list[FailureGroup]:
    return driver.store.groups(since).wait(PATIENCE)


def audit(driver: Driver, before: int | None = None, limit: int = 50) -> list[AuditLine]:
    return driver.store.audit(before, limit).wait(PATIENCE)


def fail(driver: Driver, *failures: Failed, task: str = "t", key: str | None = None) -> list[NewJob]:
    """Add a job for each of these, and let it fail so."""
    jobs = [driver.new(task, key=key) for _ in failures]
    driver.add(*jobs)
    for claim, failure in zip(driver.claim(driver.enlist()), failures, strict=True):
        assert driver.finish(claim, failure)
    return jobs


class FailureCases(Cases):
    def test_a_new_journal_has_no_groups(self, driver: Driver) -> None:
        driver.add(driver.new())
        driver.finish(driver.claim_one(driver.enlist()))
        assert groups(driver) == []

    def test_failures_are_grouped_by_task_kind_and_place(self, driver: Driver) -> None:
        began = driver.clock.now()
        fail(driver, raised(), raised(line=32), raised("KeyError"))
        driver.clock.advance(5)
        *_, last = fail(driver, raised(), raised())
        (other,) = fail(driver, raised(), task="other")
        now, place = driver.clock.now(), "app/shop/mail.py:31 in send"
        first, second, *rest = groups(driver)
        assert first == FailureGroup("t", "ValueError", place, 3, began, now, last.id)
        assert second == FailureGroup("other", "ValueError", place, 1, now, now, other.id)
        assert [(one.kind, one.place, one.last) for one in rest] == [
            ("KeyError", place, began),
            ("ValueError", place.replace("31", "32"), began),
        ]

    def test_those_of_a_group_are_found(self, driver: Driver) -> None:
        first, other, second = fail(driver, raised(), raised(line=32), raised())
        (elsewhere,) = fail(driver, raised(), task="other")
        (retried,) = fail(driver, raised())
        once = driver.new("t", once=True)
        driver.add(once)
        driver.die_in(once)
        assert driver.store.retry([retried.id]).wait(PATIENCE) == [True]

        def found(kind: str, place: str) -> list[bytes]:
            wanted = JobFilter(states=(State.FAILED,), task="t", failure=(kind, place))
            pages = driver.store.page(wanted).wait(PATIENCE), driver.store.find(wanted).wait(PATIENCE)
            shown, meant = ([one.id for one in each] for each in pages)
            assert shown == meant
            return shown

        assert found("ValueError", "app/shop/mail.py:31 in send") == [second.id, first.id]
        assert found("ValueError", "app/shop/mail.py:32 in send") == [other.id]
        assert found("may_have_run", "") == [once.id]
        assert found("ValueError", "") == found("", "") == []
        assert elsewhere.id

    def test_only_those_since_then(self, driver: Driver) -> None:
        fail(driver, raised())
        driver.clock.advance(5)
        (late,) = fail(driver, raised("KeyError"))
        assert [one.newest for one in groups(driver, driver.clock.now())] == [late.id]

    def test_one_that_is_to_be_tried_again_has_not_failed(self, driver: Driver) -> None:
        fail(driver, raised()._replace(retry_at=2**52))
        assert groups(driver) == []

    def test_one_that_no_attempt_has_ended_is_grouped_by_its_reason(self, driver: Driver) -> None:
        job = driver.new("t", once=True)
        driver.add(job)
        driver.die_in(job)
        (found,) = groups(driver)
        assert found[:4] == ("t", "may_have_run", "", 1)

    def test_one_that_is_retried_or_deleted_is_in_no_group(self, driver: Driver) -> None:
        first, second, third = fail(driver, raised(), raised(), raised())
        driver.retry(first)
        driver.store.delete([second.id]).wait(PATIENCE)
        assert [(one.jobs, one.newest) for one in groups(driver)] == [(1, third.id)]
        driver.finish(driver.claim_one(driver.enlist()), raised("KeyError"))
        assert sorted((one.kind, one.jobs) for one in groups(driver)) == [("KeyError", 1), ("ValueError", 1)]

    def test_groups_outlive_the_process(self, driver: Driver) -> None:
        fail(driver, raised())
        before = groups(driver)
        driver.reopen()
        assert groups(driver) == before


class AuditCases(Cases):
    def test_what_nobody_answers_for_has_no_line(self, driver: Driver) -> None:
        driver.retry(*fail(driver, raised()))
        assert audit(driver) == []

    @pytest.mark.parametrize(
        ("ask", "done", "not_done"),
        [
            (lambda store, jobs: store.cancel([job.id for job in jobs], by=ADA), 1, 2),
            (lambda store, jobs: store.retry([job.id for job in jobs], by=ADA), 1, 2),
            (lambda store, jobs: store.delete([job.id for job in jobs], by=ADA), 1, 2),
            (lambda store, jobs: store.pause(Pause("queue", "mail"), by=ADA), 1, 0),
            (lambda store, jobs: store.resume(Pause("queue", "mail"), by=ADA), 0, 1),
            (lambda store, jobs: store.prune(Keep(failures=0), by=ADA), 1, 0),
            (lambda store, jobs: store.pause_schedule("often", by=ADA), 1, 0),
            (lambda store, jobs: store.resume_schedule("often", by=ADA), 0, 1),
            (lambda store, jobs: store.run_schedule("often", bytes([7]) * 16, by=ADA), 1, 0),
            (lambda store, jobs: store.run_schedule("never", bytes([7]) * 16, by=ADA), 0, 1),
        ],
        ids=[
            "cancel",
            "retry",
            "delete",
            "pause",
            "resume",
            "prune",
            "pause schedule",
            "resume schedule",
            "run",
            "run none",
        ],
    )
    def test_an_act_is_written_with_its_numbers(
        self, driver: Driver, ask: Callable[..., Any], done: int, not_done: int
    ) -> None:
        (failed,) = fail(driver, raised())
        waits, gone = driver.new(), driver.new()
        driver.add(waits)
        declare(driver, schedule("often"))
        ask(driver.store, [failed, waits, gone]).wait(PATIENCE)
        (line,) = audit(driver)
        assert line[1:] == (driver.clock.now(), *ADA[:3], done, not_done)

    def test_pieces_of_one_act_are_one_line(self, driver: Driver) -> None:
        jobs = fail(driver, raised(), raised(), raised())
        began = driver.clock.now()
        driver.store.retry([jobs[0].id], by=ADA).wait(PATIENCE)
        driver.clock.advance(5)
        driver.store.delete([jobs[2].id], by=BOB).wait(PATIENCE)
        driver.store.retry([jobs[1].id, jobs[2].id], by=ADA).wait(PATIENCE)
        assert [line[1:] for line in audit(driver)] == [
            (driver.clock.now(), *BOB[:3], 1, 0),
            (began, *ADA[:3], 2, 1),
        ]

    def test_what_is_refused_has_no_line(self, driver: Driver) -> None:
        (job,) = fail(driver, raised(), key="k")
        driver.add(driver.new("t", key="k"))
        with pytest.raises(KeyTaken):
            driver.store.retry([job.id], by=ADA).wait(PATIENCE)
        assert audit(driver) == []

    @pytest.mark.parametrize("how", ["stored", "gone", "conflict"])
    def test_an_act_whose_commit_goes_wrong_is_one_line(self, driver: Driver, how: str) -> None:
        (job,) = fail(driver, raised())
        driver.bench.lose_commit(driver.store, how)
        assert driver.store.retry([job.id], by=ADA).wait(PATIENCE) == [True]
        assert [line[2:] for line in audit(driver)] == [(*ADA[:3], 1, 0)]

    def test_jobs_that_are_added_by_hand_have_a_line(self, driver: Driver) -> None:
        first, second = driver.new(), driver.new(key="k")
        (added, other) = driver.store.add([first, second], by=ADA._replace(act="edit")).wait(PATIENCE)
        assert (added.fence, other.seq) == (0, added.seq + 1)
        assert [(one.act, one.done, one.not_done) for one in audit(driver)] == [("edit", 2, 0)]
        taken = driver.new(key="k", conflict=Conflict.RAISE)
        with pytest.raises(KeyTaken):
            driver.store.add([taken], by=BOB).wait(PATIENCE)
        assert len(audit(driver)) == 1
        assert {claim.id for claim in driver.claim(driver.enlist())} == {first.id, second.id}

    def test_lines_come_in_pages_newest_first_and_outlive_the_process(self, driver: Driver) -> None:
        for number in range(5):
            act = ADA._replace(id=bytes([number]) * 16, meant=str(number))
            driver.store.cancel([], by=act).wait(PATIENCE)
        first = audit(driver, limit=2)
        assert [line.meant for line in first] == ["4", "3"]
        assert [line.meant for line in audit(driver, first[-1].number)] == ["2", "1", "0"]
        driver.reopen()
        assert audit(driver, limit=2) == first

    def test_lines_are_forgotten_in_the_end(self, driver: Driver) -> None:
        driver.store.cancel([], by=ADA).wait(PATIENCE)
        driver.clock.advance(AUDIT_SECONDS - 1)
        driver.store.cancel([], by=BOB).wait(PATIENCE)
        driver.store.fold().wait(PATIENCE)
        assert len(audit(driver)) == 2
        driver.clock.advance(2)
        driver.store.fold().wait(PATIENCE)
        assert [line.actor for line in audit(driver)] == [BOB.actor]
