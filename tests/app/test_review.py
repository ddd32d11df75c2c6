"""What reviews of applications have found: each of these was wrong once."""

import httpx
import pytest
from fastapi import FastAPI, HTTPException

from postlude import Config, Job, JobNotFound, Postlude
from postlude.fastapi import BackgroundTasks
from tests.app.serving import EVERY_STORE, serving
from tests.app.work import note

pytestmark = pytest.mark.anyio


@EVERY_STORE
async def test_a_handle_of_what_was_never_stored_is_not_waited_for(location: str) -> None:
    app = FastAPI()
    postlude = Postlude(app, store=location, config=Config(budget=0.2, tune_gc=False))
    kept: list[Job[None]] = []

    @app.post("/refused")
    async def refused(tasks: BackgroundTasks) -> None:
        kept.append(tasks.add_task(note, "a"))
        raise HTTPException(418)

    @app.get("/asked")
    async def asked() -> list[str]:
        said = []
        for question in (kept[0].status, kept[0].cancel, kept[0].result, lambda: kept[0].result(0.05)):
            try:
                await question()
            except (JobNotFound, TimeoutError) as error:
                said.append(type(error).__name__)
        return said

    async with (
        serving(postlude),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client,
    ):
        assert (await client.post("/refused")).status_code == 418
        answer = await client.get("/asked", timeout=10)
    assert answer.json() == ["JobNotFound", "JobNotFound", "JobNotFound", "TimeoutError"]
