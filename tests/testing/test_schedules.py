"""Schedules in tests: nothing by itself, and everything by the turning of the clock."""

from datetime import UTC, datetime, timedelta

import pytest

from postlude import Postlude, ScheduleNotFound, current_job
from postlude.app.scheduling import VARIABLE, schedules_run
from postlude.config import Config
from postlude.errors import PostludeError
from postlude.testing import PostludeJobs, plugin

postlude = Postlude(store="memory")
SEEN: list[datetime | None] = []


@postlude.cron("0 7 * * *", name="report")
async def report() -> None:
    SEEN.append(current_job().scheduled_for)


@postlude.every(timedelta(hours=6), name="sync", arguments={"region": "eu"})
def sync(region: str) -> None: ...


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    SEEN.clear()


def test_nothing_happens_until_the_clock_is_turned(postlude_jobs: PostludeJobs) -> None:
    postlude_jobs.drain()
    assert postlude_jobs.added() == []


def test_advance_brings_each_due_time(postlude_jobs: PostludeJobs) -> None:
    start = postlude_jobs.now
    done = postlude_jobs.advance(days=2)
    assert len(SEEN) == 2
    assert SEEN[0] is not None
    assert start < SEEN[0] <= start + timedelta(days=1)
    assert [SEEN[0], SEEN[0] + timedelta(days=1)] == SEEN
    assert postlude_jobs.count(sync, region="eu") == 8
    assert done.succeeded == 10
    postlude_jobs.advance(hours=6)
    assert postlude_jobs.count(sync) == 9


def test_advance_can_leave_schedules_out(postlude_jobs: PostludeJobs) -> None:
    postlude_jobs.advance(days=3, schedules=False)
    assert postlude_jobs.added() == []
    postlude_jobs.advance(hours=6)  # and those times are passed
    assert postlude_jobs.count(sync) == 1


@pytest.mark.anyio
async def test_they_are_paused_and_run_by_hand(postlude_jobs: PostludeJobs) -> None:
    assert [one.name for one in await postlude.schedules()] == ["report", "sync"]
    assert await postlude.pause_schedule("report")
    assert not await postlude.pause_schedule("report")
    await postlude_jobs.advance_async(days=1)
    assert SEEN == []
    job = await postlude.run_schedule("report")
    await postlude_jobs.drain_async()
    assert (SEEN, (await job.status()).state) == ([None], "succeeded")
    assert await postlude.resume_schedule("report")
    await postlude_jobs.advance_async(days=1)
    assert len(SEEN) == 2
    for act in (postlude.pause_schedule, postlude.resume_schedule, postlude.run_schedule):
        with pytest.raises(ScheduleNotFound, match="no schedule 'repotr' is in force; near to it: report"):
            await act("repotr")


def test_a_cleared_journal_has_them_still(postlude_jobs: PostludeJobs) -> None:
    postlude_jobs.clear()
    postlude_jobs.advance(hours=6)
    assert postlude_jobs.count(sync) == 1


def test_the_clock_may_begin_anywhere() -> None:
    with PostludeJobs(datetime(2026, 3, 29, tzinfo=UTC)) as jobs:
        jobs.advance(hours=7)
        assert [datetime(2026, 3, 29, 7, tzinfo=UTC)] == SEEN


def test_the_plug_in_lets_no_schedule_run_by_itself(
    monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    for variable in (VARIABLE, "POSTLUDE_STORE"):  # what the plug-in sets is put back after the test
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    assert schedules_run(Config())
    plugin.pytest_configure(pytestconfig)
    assert not schedules_run(Config())


@pytest.mark.parametrize("said, on", [("on", True), (" OFF ", False), ("", False)])
def test_the_variable_overrides_the_configuration(
    said: str, on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, said)
    assert schedules_run(Config(schedules=False)) is on


def test_a_variable_that_says_neither_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "perhaps")
    with pytest.raises(PostludeError, match="POSTLUDE_SCHEDULES is 'perhaps': give on or off"):
        schedules_run(Config())
