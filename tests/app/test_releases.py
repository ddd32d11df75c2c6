"""Jobs of another release: parked when it does not fit, and taken up when it does again."""

import logging
from pathlib import Path
from typing import Any

import apsw
import pytest

from postlude import Config, Job, Postlude, TaskDefinitionError
from postlude.model.state import Reason, State
from tests.app.serving import becomes, serving
from tests.app.work import say

pytestmark = [pytest.mark.anyio, pytest.mark.disk]

QUICK = Config(reap_every=0.02, poll_every=0.01, tune_gc=False)


def release(function: Any = None, **options: Any) -> Postlude:
    """Return the application of one release; they share a journal."""
    postlude = Postlude(store="sqlite:///jobs.db", config=QUICK, **options)
    if function is not None:
        postlude.task(function, name="mail")
    return postlude


async def of_text(value: str) -> None:
    say(f"text {value}")


async def of_number(value: int) -> None:
    say(f"number {value}")


async def added() -> Job[Any]:
    postlude = release(of_text)
    job = await postlude.add_task(postlude.task(of_text, name="mail"), "seven")
    await postlude.close()
    return job


async def test_an_unknown_task_waits_for_a_release_that_knows_it(
    folder: Path, log: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    job, another = await added(), await added()
    without = release()
    with caplog.at_level(logging.WARNING):
        async with serving(without):
            parked = await becomes(without, job, State.PARKED)
            assert (parked.reason, parked.attempt, parked.attempts) == (Reason.UNKNOWN_TASK, 1, ())
            await becomes(without, another, State.PARKED)
    assert "mail" in caplog.text
    assert caplog.text.count("is parked") == 1, "once for each name"
    fits = release(of_text)
    async with serving(fits):
        assert (await becomes(fits, job, State.SUCCEEDED)).attempts == ()
    assert log == ["text seven", "text seven"]


async def test_a_task_that_appears_while_the_process_runs(folder: Path, log: list[str]) -> None:
    job = await added()
    postlude = release()
    async with serving(postlude):
        await becomes(postlude, job, State.PARKED)
        postlude.task(of_text, name="mail")
        await becomes(postlude, job, State.SUCCEEDED)
    assert log == ["text seven"]


async def test_arguments_that_do_not_validate_wait_for_a_release_that_takes_them(
    folder: Path, log: list[str]
) -> None:
    job = await added()
    for _ in range(2):  # the same release again does not try again
        other = release(of_number)
        async with serving(other):
            parked = await becomes(other, job, State.PARKED)
            assert (parked.reason, parked.attempts) == (Reason.INVALID_ARGUMENTS, ())
    fits = release(of_text)
    async with serving(fits):
        await becomes(fits, job, State.SUCCEEDED)
    assert log == ["text seven"]


async def test_a_renamed_task_takes_up_what_waits_under_its_old_names(folder: Path, log: list[str]) -> None:
    job = await added()
    without = release()
    async with serving(without):
        await becomes(without, job, State.PARKED)
    renamed = release()
    task = renamed.task(of_text, name="letter", aliases=["post", "mail"])
    async with serving(renamed):
        await becomes(renamed, job, State.SUCCEEDED)
        later = await renamed.add_task(task, "eight")
        await becomes(renamed, later, State.SUCCEEDED)
    assert log == ["text seven", "text eight"]
    assert (job.task, later.task) == ("mail", "letter")


def test_an_alias_that_another_task_has_is_refused(folder: Path) -> None:
    postlude = release(of_text)
    with pytest.raises(TaskDefinitionError, match="would both be 'mail'"):
        postlude.task(of_number, name="letter", aliases=["mail"])
    with pytest.raises(TaskDefinitionError, match=r"aliases='mail': give a list of names"):
        postlude.task(of_number, name="letter", aliases="mail")


async def test_the_line_at_start_tells_of_what_is_parked(
    folder: Path, log: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    job = await added()
    without = release()
    async with serving(without):
        await becomes(without, job, State.PARKED)
    with caplog.at_level(logging.INFO, "postlude"):
        async with serving(release(of_text)):
            pass
    assert "jobs.db; 0 jobs wait, 1 parked" in caplog.text


@pytest.mark.parametrize("damaged", [b"\xff\xfe\x00", b'{"a":["\xc3\x28"],"k":{}}', b'{"a":["', b""])
async def test_arguments_that_are_damaged_park_their_job_and_hold_up_nobody(
    folder: Path, log: list[str], damaged: bytes
) -> None:
    first, second = await added(), await added()
    with apsw.Connection("jobs.db") as db:
        db.execute("UPDATE payload SET args = ? WHERE seq = (SELECT min(seq) FROM payload)", (damaged,))
    db.close()
    postlude = release(of_text)
    async with serving(postlude):
        await becomes(postlude, second, State.SUCCEEDED)
        parked = await becomes(postlude, first, State.PARKED)
    assert (parked.reason, parked.arguments) == (Reason.INVALID_ARGUMENTS, None)
    assert log == ["text seven"]
