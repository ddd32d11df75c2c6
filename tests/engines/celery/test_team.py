"""Tasks of Celery's own and jobs, side by side in one application and one worker of Celery's."""

import asyncio
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import httpx
import pytest
from celery import _state

from tests.engines.celery.site import PATIENCE, ROOT
from tests.servers.redis import RedisServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.process,
    pytest.mark.disk,
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]


async def test_one_worker_runs_both(
    redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis.command("FLUSHALL")
    for name, value in (("FOLDER", str(tmp_path)), ("BROKER", redis.url)):
        monkeypatch.setenv(f"TEAM_{name}", value)
    before = set(_state._on_app_finalizers)
    team = import_module("tests.engines.celery.team")
    team.celery_app.finalize()
    _state._on_app_finalizers.intersection_update(before)  # or those of other tests have its tasks too
    monkeypatch.setattr(_state._tls, "current_app", team.celery_app)
    words = [
        "-A",
        "tests.engines.celery.team:celery_app",
        "worker",
        "-Q",
        "celery,jobs",
        "--concurrency",
        "1",
    ]
    worker = subprocess.Popen(
        [str(Path(sys.executable).with_name("celery")), *words],
        env=os.environ | {"C_FORCE_ROOT": "1", "PYTHONWARNINGS": "ignore"}, cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=(tmp_path / "worker.log").open("wb"), start_new_session=True,
    )  # fmt: skip
    postlude = team.postlude
    try:
        await postlude.open()
        await postlude.start()
        transport = httpx.ASGITransport(team.web)
        async with httpx.AsyncClient(transport=transport, base_url="http://team") as client:
            sent = (await client.post("/7")).json()
        job = await postlude.add_task(team.adopted, 8)
        assert await job.result(timeout=PATIENCE) == 16
        noted: dict[str, list[str]] = {}
        async with asyncio.timeout(PATIENCE):
            while len(noted) < 3:
                lines = (tmp_path / "noted").read_text().splitlines()
                noted = {line.split()[0]: line.split()[1:] for line in lines}
                await asyncio.sleep(0.05)
        assert {parent for parent, _ in noted.values()} == {str(worker.pid)}
        assert noted["-7"][1] == sent
        assert noted["8"][1] == job.id
    finally:
        await postlude.drain()
        await postlude.close()
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(30)
