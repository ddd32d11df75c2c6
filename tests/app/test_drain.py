"""What an orderly end writes and what it gives back."""

import asyncio

import pytest

from postlude import Config, Postlude
from postlude.model.state import State

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("location", ["memory", pytest.param("sqlite", marks=pytest.mark.disk)])
async def test_what_ended_just_before_the_grace_period_did_is_not_run_again(
    location: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSTLUDE_STORE", raising=False)
    store = "memory" if location == "memory" else f"sqlite:///{tmp_path}/jobs.db"
    postlude = Postlude(store=store, config=Config(grace=0.0))
    ran, never = asyncio.Event(), asyncio.Event()

    @postlude.task(name="quick")
    async def quick() -> None:
        ran.set()

    @postlude.task(name="slow")
    async def slow() -> None:
        await never.wait()

    await postlude.open()
    await postlude.start()
    held = await postlude.add_task(slow)
    ended = await postlude.add_task(quick)
    await ran.wait()
    await postlude.drain()
    assert (await postlude.inspector.get(ended.id)).state is State.SUCCEEDED
    assert (await postlude.inspector.get(held.id)).state is State.QUEUED
    await postlude.close()
