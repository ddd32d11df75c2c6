"""What people do by the dashboard: who may, to which jobs it happens, and who answers for it."""

import json
import re
from html import unescape
from typing import Any

import httpx
import pytest

from postlude import Access, Job
from postlude.dashboard.access import RIGHTS, Right
from postlude.dashboard.actions import bulk
from postlude.jobs import plan
from postlude.model.state import State
from tests.app.serving import becomes, eventually
from tests.dashboard.shop import TOKEN, Visitor, charge, filled, send, visiting

pytestmark = pytest.mark.anyio


def hidden(answer: httpx.Response) -> dict[str, Any]:
    """Return the fields of the form of a preview."""
    form = answer.text.split('action="')[-1].split("</form>")[0]
    fields: dict[str, Any] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form):
        fields.setdefault(name, []).append(unescape(value))
    return fields


async def state_of(visitor: Visitor, id: str) -> State:
    return (await visitor.postlude.inspector.get(id)).state


async def audit(visitor: Visitor) -> list[tuple[str, str, str, int, int]]:
    lines = await visitor.postlude.components.store.audit()
    return [(one.actor, one.act, one.meant, one.done, one.not_done) for one in lines]


async def fail(visitor: Visitor, number: int) -> list[Job[Any]]:
    jobs = [await visitor.postlude.add_task(charge, each, tenant="acme") for each in range(number)]
    for job in jobs:
        await becomes(visitor.postlude, job, State.FAILED)
    return jobs


# -- who may ----------------------------------------------------------------------------------------


def on_jobs(act: str, which: str, query: str) -> list[tuple[str, dict[str, str]]]:
    return [
        ("/act", {"act": act, "id": which}),
        ("/act", {"act_all": act, "q": query}),
        ("/act/confirm", {"act": act, "id": which, "jobs": "1"}),
    ]


DEFAULT = {"kind": "queue", "name": "default"}
SWEEP = {"name": "sweep"}
POSTS: dict[Right, list[tuple[str, dict[str, str]]]] = {
    "retry": on_jobs("retry", "failed", "state:failed"),
    "cancel": on_jobs("cancel", "later", "state:queued"),
    "delete": on_jobs("delete", "sent", "state:failed"),
    "pause": [
        ("/pause", DEFAULT),
        ("/resume", DEFAULT),
        ("/schedules/pause", SWEEP),
        ("/schedules/resume", SWEEP),
    ],
    "run_schedule": [("/schedules/run", SWEEP)],
    "edit": [("/jobs/again", {"id": "sent", "named:to": '"x"'})],
}


@pytest.mark.parametrize("right", sorted(RIGHTS))
async def test_each_right_allows_its_own_acts_and_no_others(right: Right) -> None:
    everything = [(of, path, fields) for of, posts in POSTS.items() for path, fields in posts]
    async with visiting(Access("eve", see={"arguments"}, act={right}), sweeps=True) as visitor:
        ids = await filled(visitor)
        for of, path, fields in everything:
            sent = {**fields, **({"id": ids[fields["id"]]} if "id" in fields else {})}
            answer = await visitor.post(path, data=sent)
            assert (answer.status_code == 403) == (of != right), (of, path, answer.text)


async def test_a_reader_may_do_nothing_and_changes_nothing() -> None:
    async with visiting(Access.reader("eve")) as visitor:
        ids = await filled(visitor)
        for posts in POSTS.values():
            for path, fields in posts:
                sent = {**fields, **({"id": ids[fields["id"]]} if "id" in fields else {})}
                assert (await visitor.post(path, data=sent)).status_code == 403
        assert await audit(visitor) == []
        assert '<button type="submit" name="act"' not in (await visitor.get("/jobs")).text


def test_the_table_has_all_rights() -> None:
    assert set(POSTS) == RIGHTS


async def test_nothing_changes_by_a_get() -> None:
    async with visiting() as visitor:
        ids = await filled(visitor)
        for posts in POSTS.values():
            for path, fields in posts:
                sent = {**fields, **({"id": ids[fields["id"]]} if "id" in fields else {})}
                assert (await visitor.get(path, params=sent)).status_code in (200, 404)
        assert await audit(visitor) == []


# -- one job ----------------------------------------------------------------------------------------


async def test_one_job_is_retried_and_cancelled_at_once() -> None:
    async with visiting() as visitor:
        ids = await filled(visitor)
        later = f"/jobs/{ids['later']}"
        answer = await visitor.post("/act", data={"act": "cancel", "id": ids["later"], "back": later})
        assert (answer.status_code, answer.headers["location"]) == (303, f"{later}?done=cancel.1.0")
        assert await state_of(visitor, ids["later"]) is State.CANCELLED
        assert "1 job cancelled, or asked to stop." in (await visitor.get(answer.headers["location"])).text
        await visitor.post("/act", data={"act": "retry", "id": ids["failed"]})
        assert await audit(visitor) == [
            ("ada", "retry", ids["failed"], 1, 0),
            ("ada", "cancel", ids["later"], 1, 0),
        ]


async def test_one_job_is_deleted_when_that_is_confirmed() -> None:
    async with visiting() as visitor:
        ids = await filled(visitor)
        job = f"/jobs/{ids['sent']}"
        shown = await visitor.post("/act", data={"act": "delete", "id": ids["sent"], "back": job})
        assert "Delete 1 job?" in shown.text
        assert await state_of(visitor, ids["sent"]) is State.SUCCEEDED
        answer = await visitor.post("/act/confirm", data=hidden(shown))
        assert answer.headers["location"] == "/jobs?done=delete.1.0"
        assert (await visitor.get(job)).status_code == 404


# -- many -------------------------------------------------------------------------------------------


async def test_those_that_are_selected() -> None:
    async with visiting() as visitor:
        jobs = await fail(visitor, 3)
        sent = await visitor.postlude.add_task(send, "ada@example.org")
        await becomes(visitor.postlude, sent, State.SUCCEEDED)
        ids = [jobs[0].id, jobs[2].id, sent.id]
        shown = await visitor.post("/act", data={"act": "retry", "id": ids})
        assert "Retry 2 jobs?" in shown.text
        assert "Left alone: 1 succeeded" in shown.text
        await visitor.post("/act/confirm", data=hidden(shown))
        (line,) = await audit(visitor)
        assert line[:2] + line[3:] == ("ada", "retry", 2, 0)
        assert await state_of(visitor, jobs[1].id) is State.FAILED


async def test_all_that_match_are_those_that_were_shown_and_no_others() -> None:
    async with visiting() as visitor:
        await fail(visitor, 4)
        shown = await visitor.post("/act", data={"act_all": "retry", "q": "state:failed tenant:acme"})
        assert "Retry 4 jobs?" in shown.text
        (late,) = await fail(visitor, 1)
        answer = await visitor.post("/act/confirm", data=hidden(shown))
        assert answer.headers["location"].endswith("done=retry.4.0")
        assert await audit(visitor) == [("ada", "retry", "state:failed tenant:acme", 4, 0)]
        status = await visitor.postlude.inspector.get(late.id)
        assert (status.state, status.attempt) == (State.FAILED, 1)


async def test_so_are_more_than_a_page_can_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MOST_IDS", 2)
    async with visiting() as visitor:
        jobs = await fail(visitor, 4)
        shown = await visitor.post("/act", data={"act_all": "delete", "q": "state:failed since:1h"})
        assert "id" not in hidden(shown)
        (late,) = await fail(visitor, 1)
        await visitor.postlude.retry(jobs[1].id)  # it fails again, but later than was shown
        await eventually(lambda: failed_again(visitor, jobs[1].id))
        answer = await visitor.post("/act/confirm", data=hidden(shown))
        assert answer.headers["location"].endswith("done=delete.3.0")
        assert await state_of(visitor, late.id) is State.FAILED
        assert await state_of(visitor, jobs[1].id) is State.FAILED


async def test_none_that_has_come_since_is_among_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MOST_IDS", 1)
    async with visiting() as visitor:
        later = visitor.postlude.task(send).using(delay=3600)
        shown_jobs = [await visitor.postlude.add_task(later, to) for to in ("ada", "bob")]
        shown = await visitor.post("/act", data={"act_all": "cancel", "q": "state:queued"})
        assert "id" not in hidden(shown)
        late = await visitor.postlude.add_task(later, "eve")
        answer = await visitor.post("/act/confirm", data=hidden(shown))
        assert answer.headers["location"].endswith("done=cancel.2.0")
        assert [await state_of(visitor, job.id) for job in shown_jobs] == [State.CANCELLED] * 2
        assert await state_of(visitor, late.id) is State.QUEUED


async def failed_again(visitor: Visitor, id: str) -> bool | None:
    status = await visitor.postlude.inspector.get(id)
    return True if status.state is State.FAILED and status.attempt == 2 else None


async def test_a_group_is_retried_alone() -> None:
    async with visiting() as visitor:
        ids = await filled(visitor)
        group = unescape((await visitor.get("/")).text).split('class="go" href="')[1].split('"')[0]
        page = unescape((await visitor.get(group)).text)
        query = re.findall(r'name="q" value="(task:[^>]*)"', page)[0]
        shown = await visitor.post("/act", data={"act_all": "retry", "q": query})
        assert "Retry 3 jobs?" in shown.text
        assert ids["failed"] in hidden(shown)["id"]


async def test_many_are_deleted_only_if_their_number_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "TYPED", 3)
    async with visiting() as visitor:
        await fail(visitor, 3)
        shown = await visitor.post("/act", data={"act_all": "delete", "q": "state:failed"})
        assert "Type 3 to delete so many" in shown.text
        refused = await visitor.post("/act/confirm", data={**hidden(shown), "typed": "4"})
        assert (refused.status_code, "Type 3 to delete so many." in refused.text) == (422, True)
        done = await visitor.post("/act/confirm", data={**hidden(refused), "typed": "3"})
        assert done.headers["location"].endswith("done=delete.3.0")


async def test_very_many_are_done_in_pieces_that_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "PIECE", 2)
    monkeypatch.setattr(plan, "PIECE", 2)
    async with visiting() as visitor:
        await fail(visitor, 7)
        shown = await visitor.post("/act", data={"act_all": "delete", "q": "state:failed"})
        store: Any = visitor.postlude.components.store
        delete, pieces = store.delete, []

        def stopping(ids: Any, by: Any = None) -> Any:
            pieces.append(len(ids))
            if len(pieces) == 2:
                (one,) = visitor.app._operations._known.values()
                one.stopped = True
            return delete(ids, by=by)

        monkeypatch.setattr(store, "delete", stopping)
        answer = await visitor.post("/act/confirm", data=hidden(shown))
        assert "/operation?id=" in answer.headers["location"]

        async def ended() -> str | None:
            page = (await visitor.get(answer.headers["location"])).text
            return page if "Stopped: the rest was left alone." in page else None

        page = await eventually(ended)
        assert "4 of 7" in page
        assert pieces == [2, 2]
        assert await audit(visitor) == [("ada", "delete", "state:failed", 4, 0)]


async def test_an_operation_is_stopped_by_its_button() -> None:
    async with visiting() as visitor:
        (job,) = await fail(visitor, 1)
        await visitor.post("/act", data={"act": "retry", "id": job.id})
        (one,) = visitor.app._operations._known.values()
        one.stopped = False
        await visitor.post("/operation/stop", data={"id": one.id})
        assert one.stopped
        assert (await visitor.get("/operation?id=unknown")).status_code == 404


@pytest.mark.parametrize(
    "fields, told",
    [
        ({"act": "retry"}, "no job is selected"),
        ({"act": "explode", "id": "x"}, "not what to do"),
        ({"act": "retry", "id": "x"}, "has no id"),
        ({"act_all": "retry", "q": "state:bogus"}, "write one of"),
        ({"act_all": "retry", "q": "id:01a22656"}, "tick the jobs"),
    ],
)
async def test_what_is_not_meant_is_said(fields: dict[str, str], told: str) -> None:
    async with visiting() as visitor:
        answer = await visitor.post("/act", data=fields)
        assert answer.status_code == 400
        assert told in unescape(answer.text)


@pytest.mark.parametrize(
    "to", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:x", "/x\r\nA: b"]
)
async def test_it_goes_back_to_pages_of_the_dashboard_only(to: str) -> None:
    async with visiting() as visitor:
        answer = await visitor.post("/pause", data={"kind": "queue", "name": "default", "back": to})
        assert answer.headers["location"] == "/tasks?done=pause.1.0"


async def test_an_address_can_say_nothing_of_its_own() -> None:
    async with visiting() as visitor:
        for code in ("Call+0900+1234", "retry.1.0<b>", "explode.1.0"):
            assert 'class="said"' not in (await visitor.get(f"/jobs?done={code}")).text


# -- queues, tasks, schedules -----------------------------------------------------------------------


async def test_a_queue_is_paused_and_everybody_is_told() -> None:
    async with visiting() as visitor:
        await visitor.post("/pause", data={"kind": "queue", "name": "default"})
        told = unescape((await visitor.get("/schedules")).text)
        assert "Queue default</a> is paused by ada" in told
        await visitor.post("/resume", data={"kind": "queue", "name": "default"})
        assert "is paused" not in (await visitor.get("/schedules")).text
        assert await audit(visitor) == [
            ("ada", "resume", "--queue default", 1, 0),
            ("ada", "pause", "--queue default", 1, 0),
        ]


async def test_a_queue_that_nobody_knows_is_not_paused() -> None:
    async with visiting() as visitor:
        answer = await visitor.post("/pause", data={"kind": "queue", "name": "defualt"})
        assert answer.status_code == 409
        assert "near to it: 'default'" in unescape(answer.text)


async def test_a_schedule_is_run_and_paused() -> None:
    async with visiting(sweeps=True) as visitor:
        answer = await visitor.post("/schedules/run", data={"name": "sweep"})
        assert answer.headers["location"].endswith("?done=run.1.0")
        page = await visitor.get(answer.headers["location"])
        assert "A job was added." in page.text
        await visitor.post("/schedules/pause", data={"name": "sweep"})
        assert "paused" in (await visitor.get("/schedules")).text
        await visitor.post("/schedules/resume", data={"name": "sweep"})
        assert [line[:3] for line in await audit(visitor)] == [
            ("ada", "resume", "schedule sweep"),
            ("ada", "pause", "schedule sweep"),
            ("ada", "run", "schedule sweep"),
        ]
        missing = await visitor.post("/schedules/run", data={"name": "swep"})
        assert (missing.status_code, "near to it: sweep" in unescape(missing.text)) == (409, True)


# -- again ------------------------------------------------------------------------------------------


async def test_a_job_is_run_again_with_changes() -> None:
    async with visiting() as visitor:
        ids = await filled(visitor)
        form = unescape((await visitor.get(f"/jobs/again?id={ids['failed']}")).text)
        assert TOKEN not in form
        fields = dict(re.findall(r'name="(named:\w+)"[^>]*>\n([^<]*)</textarea>', form))
        assert fields == {"named:order": "2", "named:tenant": '"acme"', "named:token": '"•••"'}
        answer = await visitor.post(
            "/jobs/again", data={"id": ids["failed"], **fields, "named:tenant": '"globex"'}
        )
        new = answer.headers["location"].split("/")[-1].split("?")[0]
        status = await visitor.postlude.inspector.get(new)
        assert status.arguments is not None
        assert status.arguments.named == {"order": 2, "tenant": "globex", "token": TOKEN}
        page = (await visitor.get(f"/jobs/{new}")).text
        assert "Changed copy of" in page
        assert ids["failed"] in page
        assert await state_of(visitor, ids["failed"]) is State.FAILED
        assert await audit(visitor) == [("ada", "edit", ids["failed"], 1, 0)]
        assert (await visitor.postlude.inspector.get(new)).attempt == 1


@pytest.mark.parametrize(
    "fields, told",
    [
        ({"named:order": '"seven"'}, "argument 'order'"),
        ({"named:order": "seven"}, "order is no JSON"),
        ({"named:order": ""}, "order"),
        ({"named:colour": "1"}, "colour"),
    ],
)
async def test_what_does_not_fit_the_task_is_said_and_kept(fields: dict[str, str], told: str) -> None:
    async with visiting() as visitor:
        ids = await filled(visitor)
        sent = {"id": ids["failed"], "named:order": "2", "named:tenant": json.dumps("initech"), **fields}
        answer = await visitor.post("/jobs/again", data=sent)
        assert answer.status_code == 422
        assert told in unescape(answer.text)
        assert '"initech"' in unescape(answer.text)
        assert await audit(visitor) == []


async def test_who_does_not_see_arguments_does_not_change_them() -> None:
    async with visiting(Access("eve", act={"edit"})) as visitor:
        ids = await filled(visitor)
        answer = await visitor.get(f"/jobs/again?id={ids['failed']}")
        assert answer.status_code == 409
        assert "acme" not in answer.text


async def test_what_would_be_done_has_an_address_that_does_nothing() -> None:
    """The browser's way back leads to it: what answers a POST would be sent again, with a warning."""
    async with visiting() as visitor:
        ids = await filled(visitor)
        told = (await visitor.get("/act", params={"act_all": "retry", "q": "state:failed"})).text
        assert "Retry 3 jobs?" in told
        assert (
            "Retry 1 job?" in (await visitor.get("/act", params={"act": "retry", "id": ids["failed"]})).text
        )
        assert (await visitor.postlude.inspector.get(ids["failed"])).state is State.FAILED
        visitor.access = Access.reader("bob")
        assert (await visitor.get("/act", params={"act_all": "retry"})).status_code == 403


@pytest.mark.parametrize(
    "site, status", [("cross-site", 403), ("same-site", 403), ("none", 200), ("same-origin", 200)]
)
async def test_no_other_site_leads_to_what_would_be_done(site: str, status: int) -> None:
    async with visiting() as visitor:
        await filled(visitor)
        query = {"act_all": "delete", "q": "state:failed"}
        answer = await visitor.get("/act", params=query, headers={"Sec-Fetch-Site": site})
        assert answer.status_code == status
