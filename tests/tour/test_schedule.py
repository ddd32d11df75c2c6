"""Tour, part 8: on a schedule, by a copy of the tour's words."""

from datetime import UTC, datetime

from postlude import Postlude
from postlude.testing import PostludeJobs

postlude = Postlude(store="memory")
RAN: list[str] = []


@postlude.cron("0 7 * * MON-FRI", timezone="Europe/Paris", missed="once")
async def morning_report() -> None:
    RAN.append("report")


def test_once_per_due_time() -> None:
    RAN.clear()
    with PostludeJobs(datetime(2026, 3, 27, 12, tzinfo=UTC)) as jobs:  # a Friday before the clocks change
        jobs = jobs.of(postlude)
        jobs.advance(days=2, hours=16)
        assert RAN == []
        jobs.advance(hours=1)  # Monday, 5:00 in UTC
        assert RAN == ["report"]
        jobs.advance(days=4)
        assert RAN == ["report"] * 5
        (job, *_) = jobs.added(morning_report)
        assert job.state == "succeeded"
