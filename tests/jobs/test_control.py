"""Cancelling, retrying, pausing: what is answered, what it does, and what is said of mistakes."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from postlude import (
    Cancel,
    Config,
    Job,
    JobNotFound,
    KeyTaken,
    Local,
    NothingToPause,
    Postlude,
    PostludeError,
    Retry,
)
from postlude.model.state import Reason, State
from postlude.tasks.task import Task
from tests.app.serving import EVERY_STORE, becomes, eventually, serving
from tests.app.work import breaks, note, note_sync, say

pytestmark = [pytest.mark.anyio, EVERY_STORE]
QUICK = Config(poll_every=0.02, tune_gc=False)
SLOW = Config(poll_every=60, tune_gc=False)
"""What is heard with it was told, and not found by a look from time to time."""


def made(location: str, config: Config = QUICK, *queues: str) -> Postlude:
    described = {queue: Local() for queue in queues}
    return Postlude(store=location, config=config, packages=["tests"], queues=described)


def sleeper(postlude: Postlude) -> Task[[], Any]:
    @postlude.task(name="sleep", retry=Retry(1))
    async def sleep() -> None:
        say("sleeps")
        await asyncio.sleep(60)

    return sleep


async def runs(log: list[str], jobs: int = 1) -> None:
    async def look() -> bool | None:
        return len(log) >= jobs or None

    await eventually(look)


class TestCancel:
    async def test_a_job_that_waits_is_cancelled(self, location: str, log: list[str]) -> None:
        postlude = made(location)
        job = await postlude.add_task(note, "a")
        assert await postlude.cancel(job.id) is Cancel.CANCELLED
        assert await postlude.cancel(UUID(job.id)) is Cancel.TOO_LATE
        async with serving(postlude):
            status = await postlude.inspector.get(job.id)
        assert (status.state, log) == (State.CANCELLED, [])

    async def test_a_job_that_runs_is_told_at_once(self, location: str, log: list[str]) -> None:
        postlude = made(location, SLOW)
        async with serving(postlude):
            job = await postlude.add_task(sleeper(postlude))
            await runs(log)
            assert await postlude.cancel(job.id) is Cancel.ASKED
            status = await becomes(postlude, job, State.CANCELLED)
        assert status.error is None

    async def test_an_id_that_joined_it_by_its_key_is_as_good(self, location: str, log: list[str]) -> None:
        postlude = made(location, SLOW)
        async with serving(postlude):
            keyed = sleeper(postlude).using(key="k")
            first = await postlude.add_task(keyed)
            await runs(log)
            second = await postlude.add_task(keyed)
            assert second.id != first.id
            assert await postlude.cancel(second.id) is Cancel.ASKED
            for job in (first, second):
                await becomes(postlude, job, State.CANCELLED)
            assert await postlude.cancel(second.id) is Cancel.TOO_LATE
        assert log == ["sleeps"]

    async def test_one_that_was_claimed_and_waits_for_its_place(self, location: str, log: list[str]) -> None:
        config = Config(poll_every=60, tune_gc=False, loop_slots=1)
        postlude = made(location, config)
        async with serving(postlude):
            running = await postlude.add_task(sleeper(postlude))
            await runs(log)
            waiting = await postlude.add_task(note, "never")
            await postlude.cancel(waiting.id)
            await becomes(postlude, waiting, State.CANCELLED)
            await postlude.cancel(running.id)
            await becomes(postlude, running, State.CANCELLED)
        assert log == ["sleeps"]

    async def test_one_that_has_ended_is_too_late(self, location: str, log: list[str]) -> None:
        postlude = made(location)
        async with serving(postlude):
            job = await postlude.add_task(note, "a")
            await becomes(postlude, job, State.SUCCEEDED)
            assert await postlude.cancel(job.id) is Cancel.TOO_LATE


@pytest.mark.parametrize("verb", ["cancel", "retry"])
async def test_a_job_that_nobody_knows(location: str, verb: str) -> None:
    postlude = made(location)
    do = getattr(postlude, verb)
    unknown = uuid4()
    for id in (unknown, str(unknown)):
        with pytest.raises(JobNotFound, match=f"^no job has the id {unknown}; it may have been pruned"):
            await do(id)
    handle: Job[Any] = await postlude.add_task(note, "a")
    for wrong in ("seven", "", 7, None, handle):
        with pytest.raises(JobNotFound, match="is not the id of a job"):
            await do(wrong)


class TestRetry:
    async def test_a_job_that_failed_runs_again(self, location: str, log: list[str]) -> None:
        postlude = made(location, SLOW)
        async with serving(postlude):
            job = await postlude.add_task(breaks, "a")
            await becomes(postlude, job, State.FAILED)
            assert await postlude.retry(job.id) is True
            await runs(log, 2)
            status = await becomes(postlude, job, State.FAILED)
            assert [attempt.number for attempt in status.attempts] == [1, 2]

    async def test_a_job_that_waits_runs_or_has_succeeded_does_not(
        self, location: str, log: list[str]
    ) -> None:
        postlude = made(location)
        waiting = await postlude.add_task(note, "a")
        assert await postlude.retry(waiting.id) is False
        async with serving(postlude):
            await becomes(postlude, waiting, State.SUCCEEDED)
            assert await postlude.retry(UUID(waiting.id)) is False
        assert log == ["a"]

    async def test_an_id_that_joined_it_by_its_key_is_as_good(self, location: str, log: list[str]) -> None:
        postlude = made(location)
        keyed = postlude.task(note, name="note").using(key="k")
        first, second = await postlude.add_task(keyed, "a"), await postlude.add_task(keyed, "b")
        await postlude.cancel(first.id)
        assert await postlude.retry(second.id) is True
        async with serving(postlude):
            await becomes(postlude, second, State.SUCCEEDED)
        assert log == ["a"]

    async def test_another_job_has_its_key_now(self, location: str) -> None:
        postlude = made(location)
        keyed = postlude.task(note, name="note").using(key="k")
        first = await postlude.add_task(keyed, "a")
        await postlude.cancel(first.id)
        second = await postlude.add_task(keyed, "b")
        with pytest.raises(KeyTaken):
            await postlude.retry(first.id)
        assert (await postlude.inspector.get(first.id)).state is State.CANCELLED
        assert (await postlude.inspector.get(second.id)).state is State.QUEUED

    @pytest.mark.parametrize("where", ["declared", "of the call"])
    async def test_a_job_that_had_expired_does_not_expire_again(
        self, location: str, where: str, log: list[str]
    ) -> None:
        """What bounded it in time is lifted, also if its task declares it."""
        postlude = made(location)
        if where == "declared":
            task = postlude.task(note, name="note", expires=0.001, deadline=0.002)
        else:
            task = postlude.task(note, name="note").using(expires=0.001, deadline=0.002)
        job = await postlude.add_task(task, "a")
        await asyncio.sleep(0.01)
        async with serving(postlude):
            assert (await becomes(postlude, job, State.CANCELLED)).reason is Reason.EXPIRED
            await postlude.retry(job.id)
            await becomes(postlude, job, State.SUCCEEDED)
        assert log == ["a"]


class TestPause:
    async def test_a_paused_queue_starts_nothing(self, location: str, log: list[str]) -> None:
        postlude = made(location, SLOW, "mail")
        assert await postlude.pause("mail") is True
        assert await postlude.pause("mail") is False
        task = postlude.task(note, name="note")
        async with serving(postlude):
            waiting = await postlude.add_task(task.using(queue="mail"), "mail")
            other = await postlude.add_task(task, "other")
            await becomes(postlude, other, State.SUCCEEDED)
            assert (await postlude.inspector.get(waiting.id)).state is State.QUEUED
            assert await postlude.resume("mail") is True
            await becomes(postlude, waiting, State.SUCCEEDED)
            assert await postlude.resume("mail") is False
        assert log == ["other", "mail"]

    @pytest.mark.parametrize("by_name", [False, True])
    async def test_a_paused_task_starts_nothing(self, location: str, by_name: bool, log: list[str]) -> None:
        postlude = made(location)
        paused = postlude.task(note, name="paused")
        other = postlude.task(breaks, name="other", retry=Retry(1))
        meant: Any = "paused" if by_name else paused.using(priority=1)
        assert await postlude.pause(task=meant) is True
        assert await postlude.pause(task=paused) is False
        async with serving(postlude):
            waiting = await postlude.add_task(paused, "paused")
            await becomes(postlude, await postlude.add_task(other, "other"), State.FAILED)
            assert (await postlude.inspector.get(waiting.id)).state is State.QUEUED
            assert await postlude.resume(task=meant) is True
            await becomes(postlude, waiting, State.SUCCEEDED)
        assert await postlude.resume(task=meant) is False
        assert log == ["other", "paused"]

    async def test_a_name_that_nobody_has_is_told(self, location: str) -> None:
        postlude = made(location, QUICK, "described")
        postlude.task(note, name="shop.mails:send_receipt", queue="mail", aliases=["shop:old_name"])
        for queue, near in (("mial", " (near to it: 'mail')"), ("x", "")):
            with pytest.raises(NothingToPause) as raised:
                await postlude.pause(queue)
            assert str(raised.value) == (
                f"no task of this release and no job has the queue {queue!r}{near}; if jobs are to come with "
                f"using(queue=...), say so by Postlude(queues={{{queue!r}: Local()}})"
            )
            assert await postlude.resume(queue) is False
        for name in ("send_recipt", "shop.mail:send_receipt"):
            with pytest.raises(
                NothingToPause, match=r"near to it: 'shop\.mails:send_receipt'\); give the task"
            ):
                await postlude.pause(task=name)
        assert await postlude.paused() == []
        for queue in ("mail", "described", "default"):
            assert await postlude.pause(queue) is True, "before its first job"
        for name in ("shop.mails:send_receipt", "tests.app.work:note"):
            assert await postlude.pause(task=name) is True, "before its first job"

    @pytest.mark.parametrize("meant", ["new", "old"])
    async def test_a_task_is_paused_under_all_of_its_names(self, location: str, meant: str) -> None:
        """By its old name, jobs would be stored that nothing stops, and of its old jobs none would."""
        postlude = made(location)
        before = Postlude(store=postlude.components.store)
        renamed = postlude.task(note, name="new", aliases=["old"])
        async with serving(postlude):
            assert await postlude.pause(task=meant) is True
            jobs = [
                await before.add_task(before.task(note, name="old"), "old"),
                await postlude.add_task(renamed, "new"),
            ]
            await becomes(postlude, await postlude.add_task(note_sync, "other"), State.SUCCEEDED)
            assert [(await postlude.inspector.get(job.id)).state for job in jobs] == [State.QUEUED] * 2
            assert await postlude.pause(task=meant) is False
            assert await postlude.resume(task="new") is True
            for job in jobs:
                await becomes(postlude, job, State.SUCCEEDED)

    async def test_a_name_that_only_jobs_have_can_be_paused(self, location: str) -> None:
        """They are another application's, or their task is gone: what is known here does not decide."""
        postlude = made(location)
        theirs = Postlude(store=postlude.components.store)
        await postlude.pause("default")  # it is open
        await theirs.add_task(theirs.task(note, name="theirs").using(queue="own"), "a")
        assert await postlude.pause("own") is True
        assert await postlude.pause(task="theirs") is True

    @pytest.mark.parametrize("verb", ["pause", "resume"])
    async def test_it_must_be_clear_what_is_meant(self, location: str, verb: str) -> None:
        postlude = made(location)
        do = getattr(postlude, verb)
        with pytest.raises(PostludeError, match=r'say what is meant: a queue \("mail"\), or task='):
            await do()
        with pytest.raises(PostludeError, match="say what is meant"):
            await do("mail", task="app:send")
        with pytest.raises(PostludeError, match=r"^queue=<Task .*: give the name of a queue; a task is"):
            await do(postlude.task(note))
        with pytest.raises(
            PostludeError, match=r"^task=<function note .*: give a declared task, or the name"
        ):
            await do(task=note)
