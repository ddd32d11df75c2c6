"""What the pages show of jobs, and what they hide."""

from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from postlude import Access, Config, Limit, Postlude
from postlude.clock import ManualClock
from postlude.dashboard.app import paths_of
from postlude.model.queues import only
from postlude.model.state import State
from postlude.stores.memory.store import MemoryStore
from postlude.stores.protocol import Kind, NewRunner
from tests.app.serving import becomes, serving
from tests.dashboard.shop import Visitor, charge, filled, send, visiting

pytestmark = pytest.mark.anyio

PAGES = ("/", "/failures", "/jobs", "/tasks", "/schedules", "/processes", "/audit")


async def text(visitor: Visitor, path: str, status: int = 200) -> str:
    answer = await visitor.get(path, follow_redirects=True)
    assert answer.status_code == status, answer.text
    return unescape(answer.text)


async def test_each_page_of_an_empty_journal_says_so() -> None:
    async with visiting() as visitor:
        told = {path: await text(visitor, path) for path in PAGES}
    assert "No job has been added yet" in told["/"]
    assert "Nothing has failed in this time" in told["/failures"]
    assert "No job has been added yet" in told["/jobs"]
    assert "No task has had a job yet" in told["/tasks"]
    assert "No schedule is in force" in told["/schedules"]
    assert "Nobody has done anything here yet" in told["/audit"]


async def test_now_says_what_is_wrong_and_leads_to_it() -> None:
    async with visiting() as visitor:
        await filled(visitor)
        told = await text(visitor, "/")
        assert "3 jobs failed in the last 10 min: GatewayDown in charge. The last: <time" in told
        link = told.split('class="go" href="')[1].split('"')[0]
        group = await text(visitor, link)
        words = told.split("Retry them …")[0].rpartition('name="q" value="')[2].split('"><button')[0]
        shown = await visitor.post("/act", data={"act_all": "retry", "q": words})
        assert "Retry 3 jobs?" in shown.text
        visitor.access = Access.reader("bob")
        assert "Retry them" not in await text(visitor, "/")
    assert "GatewayDown" in group
    assert "tenant = acme" in group
    assert "in 3 of 3" in group
    assert "raise GatewayDown" in group


async def test_what_fails_most_now_is_not_what_has_failed_most_today() -> None:
    clock = ManualClock()
    async with visiting(store=MemoryStore(clock)) as visitor:
        postlude = visitor.postlude
        before = [await postlude.add_task(charge, number) for number in range(5)]
        for job in before:
            await becomes(postlude, job, State.FAILED)
        clock.set(3600)
        for job in [await postlude.add_task(charge, 6), *[await postlude.add_task(lose) for _ in range(3)]]:
            await becomes(postlude, job, State.FAILED)
        told = await text(visitor, "/")
    assert "4 jobs failed in the last 10 min, 3 of them LookupError in lose." in told


async def lose() -> None:
    raise LookupError("no template")


@pytest.mark.disk
async def test_what_is_no_id_is_told_so(tmp_path: Path) -> None:
    async with visiting(store=f"sqlite:///{tmp_path}/jobs.db") as visitor:
        await filled(visitor)
        for id in ("zz", "0" * 33, "-g"):
            assert "Ids consist of the digits" in await text(visitor, f"/jobs?q=id:{id}")


async def test_all_that_waits_in_a_paused_queue_is_counted() -> None:
    """A limit blocks all but a few of them: none of those is ready."""
    async with visiting() as visitor:
        postlude = visitor.postlude
        limited = postlude.task(send, name="limited", queue="mail", limit=Limit(1))
        await postlude.pause("mail")
        jobs = [await postlude.add_task(limited, f"{number}@example.org") for number in range(5)]
        told = await text(visitor, "/")
        assert "Queue mail is paused; 5 jobs wait in it." in told
        assert "5 jobs wait." in await text(visitor, "/processes")
        for job in jobs:
            assert "Waits: the queue mail is paused." in await text(visitor, f"/jobs/{job.id}")
        await postlude.resume("mail")


async def test_a_worker_of_celerys_that_hears_nothing() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    async with visiting(store=store) as visitor:
        new = NewRunner("r", 1e9, Kind.ENGINE, only({"reports"}), slots=0)
        parent = (await store.enlist(new)).runner
        await store.enlist(NewRunner("r", 1e9, Kind.ENGINE, only({"reports"}), 1, parent))
        await store.renew(parent, hears=True)
        clock.advance(180)
        await store.renew(parent, hears=False)
        await visitor.postlude.add_task(send, "ada@example.org")  # else it tells how to begin
        told = await text(visitor, "/processes")
        assert "Celery's worker, parent" in told
        assert told.count("deaf: given nothing by its broker for 3 min") == 1
        health = await text(visitor, "/")
        assert "is deaf: its broker has messages for it and for 3 min none has reached it." in health


async def test_failures_tell_their_release() -> None:
    async with visiting(config=Config(release="r42")) as visitor:
        ids = await filled(visitor)
        told = await text(visitor, "/")
        assert "release r42" in told
        group = await text(visitor, told.split('class="go" href="')[1].split('"')[0])
        assert "in release <code>r42</code>" in group
        assert "release r42" in await text(visitor, f"/jobs/{ids['failed']}")


async def test_a_list_is_what_its_filter_means() -> None:
    async with visiting() as visitor:
        ids = await filled(visitor)
        failed = await text(visitor, "/jobs?q=state:failed")
        assert failed.count("<tr data-id") == 3
        assert ids["failed"] in failed
        assert ids["sent"] not in failed
        assert (await text(visitor, "/jobs?q=to:ada@example.org")).count("<tr data-id") == 1
        assert (await text(visitor, "/jobs?q=send")).count("<tr data-id") == 2
        assert (await text(visitor, '/jobs?q=tenant:acme error:"no answer for 2"')).count("<tr data-id") == 1
        assert "No job matches" in await text(visitor, "/jobs?q=queue:nothing")
        assert "write one of" in await text(visitor, "/jobs?q=state:bogus")
        assert ids["later"] in await text(visitor, f"/jobs?q={ids['later'][:18]}")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("state=failed", "state:failed"),
        ("state=failed&until=1h&q=tenant:acme", "until:1h tenant:acme state:failed"),
        ("state=bogus", "state:bogus"),
        ("state=&queue=mail", "queue:mail"),
    ],
)
async def test_an_address_may_name_a_state(address: str, words: str) -> None:
    async with visiting() as visitor:
        answer = await visitor.get(f"/jobs?{address}")
        assert answer.status_code == 303
        assert httpx.URL(answer.headers["location"]).params["q"] == words


async def test_menus_become_words_of_the_filter() -> None:
    async with visiting() as visitor:
        await filled(visitor)
        answer = await visitor.get("/jobs?q=state:failed&since=1h&task=tests.dashboard.shop:charge")
        assert answer.status_code == 303
        assert httpx.URL(answer.headers["location"]).params["q"] == (
            "state:failed task:tests.dashboard.shop:charge since:1h"
        )


async def test_pages_of_a_list_hold_each_job_once() -> None:
    async with visiting() as visitor:
        await visitor.postlude.add_tasks(
            [visitor.postlude.task(send).call(str(number)) for number in range(120)]
        )
        path, seen, pages = "/jobs", list[str](), 0
        while path:
            told = await text(visitor, path)
            seen += [part.split('"')[1] for part in told.split("<tr data-id=")[1:]]
            found = told.split('rel="next"')[0].rsplit('href="', 1)[1] if 'rel="next"' in told else ""
            path, pages = found.split('"')[0], pages + 1
    assert (pages, len(seen), len(set(seen))) == (3, 120, 120)


async def test_one_job_tells_all_of_it() -> None:
    async with visiting() as visitor:
        ids = await filled(visitor)
        failed = await text(visitor, f"/jobs/{ids['failed']}")
        sent = await text(visitor, f"/jobs/{ids['sent']}")
        later = await text(visitor, f"/jobs/{ids['later']}")
    assert "Failed, tried once" in failed
    assert "in charge" in failed
    assert '"sent to ada@example.org"' in sent
    assert "Is due in " in later


async def test_there_is_no_such_job() -> None:
    async with visiting() as visitor:
        assert "No such job" in await text(visitor, "/jobs/01a22656-0320-7000-95b4-7cea49a57d8f", 404)
        assert "No such job" in await text(visitor, "/jobs/nonsense", 404)
        assert "There is no such page" in await text(visitor, "/nonsense", 404)
        assert "No job of this name" in await text(visitor, "/tasks/one?name=nothing", 404)


async def test_secrets_are_masked_everywhere() -> None:
    async with visiting() as visitor:
        ids = await filled(visitor)
        paths = [*PAGES, *(f"/jobs/{id}" for id in ids.values()), "/jobs?q=state:failed", "/failures"]
        link = (await text(visitor, "/")).split('class="go" href="')[1].split('"')[0]
        told = [await text(visitor, path) for path in [*paths, link]]
    assert "•••" in told[len(PAGES) + 1]
    for each in told:
        assert "tok_4242" not in each
        assert "4111-1111" not in each


@pytest.mark.parametrize("see", ["arguments", "results", "logs"])
async def test_a_role_sees_what_it_is_given(see: Any) -> None:
    async with visiting(Access("eve", see={see})) as visitor:
        ids = await filled(visitor)
        told = await text(visitor, f"/jobs/{ids['sent']}")
        rows = await text(visitor, "/jobs")
    assert ('<pre>"ada@example.org"</pre>' in told) == (see == "arguments")
    assert ('"sent to ada@example.org"' in told) == (see == "results")
    assert ("ada@example.org" in rows) == (see == "arguments")


async def test_a_reader_is_told_so() -> None:
    async with visiting(Access.reader("eve")) as visitor:
        assert "eve · read-only" in await text(visitor, "/")


async def test_numbers_of_tasks_can_be_had_as_a_table() -> None:
    async with visiting() as visitor:
        await filled(visitor)
        answer = await visitor.get("/tasks?as=csv")
    lines = answer.text.splitlines()
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert lines[0].startswith("task,added,succeeded,failed")
    assert any(line.startswith('"tests.dashboard.shop:charge",3,0,3,0,3,') for line in lines)


@pytest.mark.parametrize(
    "root, outer, path, expected",
    [
        ("", "", "/jobs", ("", "/jobs")),
        ("/background", "", "/background/jobs", ("/background", "/jobs")),
        ("/background", "", "/background", ("/background", "")),
        ("/api/background", "/api", "/api/background/jobs", ("/api/background", "/jobs")),
        ("/api/background", "/api", "/background/jobs", ("/api/background", "/jobs")),
        ("/api/background", "/api", "/background", ("/api/background", "")),
    ],
)
def test_the_path_behind_a_prefix(root: str, outer: str, path: str, expected: tuple[str, str]) -> None:
    assert paths_of({"root_path": root, "app_root_path": outer, "path": path}) == expected


@pytest.mark.parametrize("root_path", ["", "/api"])
@pytest.mark.filterwarnings("ignore::fastapi.exceptions.FastAPIDeprecationWarning")
async def test_all_links_stay_under_the_prefix(root_path: str) -> None:
    app = FastAPI(root_path=root_path)
    postlude = Postlude(app, store="memory")
    app.mount("/background", postlude.dashboard(auth=lambda request: Access.admin("ada")))
    async with (
        serving(postlude),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client,
    ):
        page = await client.get("/background/jobs")
    links = [part.split('"')[0] for part in page.text.split('href="')[1:]]
    assert len(links) > 10
    assert {link[: len(root_path) + 12] for link in links if not link.startswith("#")} == {
        f"{root_path}/background/"
    }
