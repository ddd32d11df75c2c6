"""Two releases on one journal at once, on each kind that several processes share."""

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest

from postlude import Config, Job, Postlude
from postlude.model.state import State
from tests.app.serving import becomes, eventually, serving

pytestmark = [pytest.mark.anyio, pytest.mark.disk, pytest.mark.process]

QUICK = Config(reap_every=0.05, poll_every=0.05, tune_gc=False)

GO: list[asyncio.Event] = []
RAN: list[str] = []


@pytest.fixture(params=["file", "server"])
def shared(request: pytest.FixtureRequest, folder: Path) -> str:
    """Where the journal is."""
    return "sqlite:///jobs.db" if request.param == "file" else str(request.getfixturevalue("database"))


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    GO[:], RAN[:] = [], []


async def mail(value: str) -> None:
    RAN.append(value)
    if GO:
        await GO[0].wait()


async def call(value: str) -> None:
    RAN.append(value)


def release(store: str, *tasks: Any) -> Postlude:
    postlude = Postlude(store=store, config=QUICK)
    for task in tasks:
        postlude.task(task, name=task.__name__)
    return postlude


def ask(store: str, sql: str) -> list[tuple[Any, ...]]:
    """Ask the journal behind everybody's back."""
    if store.startswith("sqlite"):
        with closing(apsw.Connection("jobs.db")) as file:
            file.set_busy_timeout(5000)
            return list(file.execute(sql.replace("postlude.", "")))
    with psycopg.connect(store, autocommit=True) as db:
        found = db.execute(sql.encode())
        return found.fetchall() if found.description else []


async def test_each_runs_what_it_knows(shared: str) -> None:
    old, new = release(shared, call), release(shared, mail)
    adds = release(shared, mail, call)
    await adds.open()
    jobs: list[Job[Any]] = []
    for number in range(10):
        jobs += await adds.add_tasks(
            task.call(f"{task.name} {number}")
            for task in (adds.task(mail, name="mail"), adds.task(call, name="call"))
        )
    async with serving(old, new):
        for job in jobs:
            status = await becomes(new, job, State.SUCCEEDED)
            assert (status.attempt, status.attempts) == (1, ())
    await adds.close()
    assert sorted(RAN) == sorted(f"{name} {number}" for name in ("mail", "call") for number in range(10))


async def test_while_a_suspect_runs_another_one_is_not_passed_to_and_fro(shared: str) -> None:
    """The new release runs one suspect at a time; the old one knows none of them."""
    adds = release(shared)
    await adds.open()
    task = adds.task(mail, name="mail")
    jobs = await adds.add_tasks(task.call(f"{number}") for number in range(3))
    true = "1" if shared.startswith("sqlite") else "true"
    ask(shared, f"UPDATE postlude.job SET suspect = {true}, deaths = 1")
    GO.append(asyncio.Event())
    old, new = release(shared), release(shared, mail)
    async with serving(new, old):

        async def one_runs() -> bool | None:
            return True if RAN else None

        await eventually(one_runs)
        before = sum(fence for (fence,) in ask(shared, "SELECT fence FROM postlude.job"))
        await asyncio.sleep(2)
        claims = sum(fence for (fence,) in ask(shared, "SELECT fence FROM postlude.job")) - before
        GO[0].set()
        for job in jobs:
            await becomes(new, job, State.SUCCEEDED)
    await adds.close()
    assert sorted(RAN) == ["0", "1", "2"]
    assert claims <= 4, "what cannot run now stays parked"
