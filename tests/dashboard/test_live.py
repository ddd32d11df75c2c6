"""Pages that nothing has changed on cost no look at the journal."""

from pathlib import Path
from typing import Any

import pytest

from postlude import Access, Postlude
from postlude.dashboard.live import (
    FRESH,
    IDLE,
    LATEST,
    MOST_FOR_GOOD,
    OVER,
    SHARE,
    SOONEST,
    STALE,
    Pace,
    Pulse,
)
from postlude.model.event.jobs import JobsAdded
from tests.app.serving import serving
from tests.dashboard.shop import filled, send, visiting

pytestmark = pytest.mark.anyio


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_an_idle_look_is_answered_without_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    async with visiting() as visitor:
        await filled(visitor)
        pulse = Pulse(visitor.postlude.components.store, clock := Clock())
        visitor.app._pulse, visitor.app._pulse_of = pulse, visitor.postlude.components
        first = await visitor.get("/jobs")
        store: Any = visitor.postlude.components.store
        for verb in ("page", "counts", "queues", "living", "groups", "history", "paused", "audit"):
            monkeypatch.setattr(store, verb, None)
        clock.now += STALE - 1
        again = await visitor.get("/jobs", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]


async def test_what_has_changed_is_shown_after_a_second() -> None:
    async with visiting() as visitor:
        await filled(visitor)
        pulse = Pulse(visitor.postlude.components.store, clock := Clock())
        visitor.app._pulse, visitor.app._pulse_of = pulse, visitor.postlude.components
        tag = (await visitor.get("/jobs")).headers["etag"]
        job = await visitor.postlude.add_task(send, "carol@example.org")
        assert (await visitor.get("/jobs", headers={"If-None-Match": tag})).status_code == 304
        clock.now += FRESH
        answer = await visitor.get("/jobs", headers={"If-None-Match": tag})
        assert answer.status_code == 200
        assert job.id in answer.text


async def test_it_is_looked_anew_after_a_while_whatever_was_heard() -> None:
    async with visiting() as visitor:
        pulse = Pulse(visitor.postlude.components.store, clock := Clock())
        token = pulse.token()
        clock.now += STALE
        assert pulse.token() != token


async def test_nobody_listens_when_nobody_looks() -> None:
    async with visiting() as visitor:
        store = visitor.postlude.components.store
        before = dict(store.events.heard)
        pulse = Pulse(store, clock := Clock())
        pulse.token()
        assert store.events.heard != before
        clock.now += IDLE + 1
        pulse.changed(None)
        assert store.events.heard == before
        clock.now += 1
        assert pulse.token()


async def test_what_is_looked_up_is_looked_up_once() -> None:
    looks = []

    async def look() -> int:
        looks.append(1)
        return len(looks)

    async with visiting() as visitor:
        pulse = Pulse(visitor.postlude.components.store, Clock())
        assert [await pulse.kept("a", look), await pulse.kept("a", look)] == [1, 1]
        pulse.forget()
        assert await pulse.kept("a", look) == 2


async def test_who_sees_as_much_is_given_the_same_page() -> None:
    async with visiting() as visitor:
        ids = await filled(visitor)
        ada = await visitor.get("/jobs")
        visitor.access = Access.reader("eve")
        eve = await visitor.get("/jobs")
        assert "bob@example.org" in ada.text
        assert "bob@example.org" not in eve.text
        assert ids["sent"] in eve.text
        redirected = await visitor.get("/jobs?q=&since=1h")
        assert (redirected.status_code, (await visitor.get("/jobs?q=&since=1h")).status_code) == (303, 303)


async def test_what_is_over_is_looked_up_once_for_all_times() -> None:
    looks = []

    async def look() -> int:
        looks.append(1)
        return len(looks)

    async with visiting() as visitor:
        pulse = Pulse(visitor.postlude.components.store, Clock())
        assert await pulse.for_good("a", look) == 1
        pulse.forget()
        assert await pulse.for_good("a", look) == 1
        for number in range(MOST_FOR_GOOD):
            await pulse.for_good(number, look)
        assert await pulse.for_good("a", look) == MOST_FOR_GOOD + 2


def test_pages_ask_less_often_where_that_costs_much() -> None:
    pace = Pace(clock := Clock())
    for _ in range(8):  # each second costs four times its share, at first
        clock.now += OVER
        pace.spent(OVER * 4 * SHARE * SOONEST / pace.pause)
    assert pace.pause == pytest.approx(4 * SOONEST)
    clock.now += OVER
    pace.spent(OVER)
    assert pace.pause == LATEST
    clock.now += OVER
    pace.spent(0)
    assert pace.pause == SOONEST


async def test_a_page_is_told_when_to_ask_again() -> None:
    async with visiting() as visitor:
        answer = await visitor.get("/")
        assert float(answer.headers["postlude-poll"]) == SOONEST


async def test_what_is_told_of_before_it_can_be_seen_is_looked_for_once_more() -> None:
    async with visiting() as visitor:
        pulse = Pulse(visitor.postlude.components.store, clock := Clock())
        pulse.token()
        clock.now += FRESH
        pulse.changed(None)  # a commit has begun, and may end after the next look
        early = pulse.token()
        clock.now += FRESH
        late = pulse.token()
        clock.now += FRESH
        assert early != late == pulse.token()


@pytest.mark.disk
async def test_commits_are_heard_of_where_jobs_are_added_to_a_file(tmp_path: Path) -> None:
    postlude = Postlude(store=f"sqlite:///{tmp_path}/shop.db", packages=["tests"])
    async with serving(postlude):
        store: Any = postlude.components.store
        pulse = Pulse(store, clock := Clock())
        token = pulse.token()
        added = store.events.heard.get(JobsAdded, ())
        assert [one for one in added if getattr(one, "__self__", None) is pulse] == []
        await postlude.add_task(postlude.task(send).using(delay=3600), "ada@example.org")
        clock.now += FRESH
        assert pulse.token() != token
        clock.now += IDLE + 1
        pulse.changed(None)
        assert pulse._note not in store._told
