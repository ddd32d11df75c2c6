"""FastAPI's documented background tasks, unchanged, in an application with a Postlude."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from fastapi.testclient import TestClient

from tests.request.asgi import call
from tests.request.conftest import Install
from tests.request.recorder import Recorder


def write_notification(email: str, message: str = "") -> None:
    Path("log.txt").write_text(f"notification for {email}: {message}", encoding="utf-8")


def write_log(message: str) -> None:
    with Path("log.txt").open("a", encoding="utf-8") as log:
        log.write(message)


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_is_written_after_the_response(install: Install, directory: Path) -> None:
    app = FastAPI()

    @app.post("/send-notification/{email}")
    async def send_notification(email: str, background_tasks: BackgroundTasks) -> dict[str, str]:
        background_tasks.add_task(write_notification, email, message="some notification")
        return {"message": "Notification sent in the background"}

    install(app)
    answer = TestClient(app).post("/send-notification/foo@example.com")
    assert answer.json() == {"message": "Notification sent in the background"}
    assert (directory / "log.txt").read_text() == "notification for foo@example.com: some notification"


@pytest.mark.anyio
@pytest.mark.parametrize("serving", [True, False])
async def test_not_before_the_response_has_left(
    serving: bool, install: Install, port: Recorder, directory: Path, log: list[str]
) -> None:
    app = FastAPI()

    @app.post("/send-notification/{email}")
    async def send_notification(email: str, background_tasks: BackgroundTasks) -> dict[str, str]:
        background_tasks.add_task(write_notification, email, message="some notification")
        return {"message": "Notification sent in the background"}

    install(app)
    there: list[bool] = []
    async with port.running() if serving else nullcontext():
        await call(
            app,
            "/send-notification/foo@example.com",
            "POST",
            log=log,
            on_send=lambda message: there.append((directory / "log.txt").exists()),
        )
    assert there == [False, False]
    assert (directory / "log.txt").exists()


def test_a_dependencys_tasks_come_before_the_path_operations(install: Install, directory: Path) -> None:
    app = FastAPI()

    def get_query(background_tasks: BackgroundTasks, q: str | None = None) -> str | None:
        if q:
            background_tasks.add_task(write_log, f"found query: {q}\n")
        return q

    @app.post("/send-notification/{email}")
    async def send_notification(
        email: str, background_tasks: BackgroundTasks, q: Annotated[str | None, Depends(get_query)]
    ) -> dict[str, str]:
        background_tasks.add_task(write_log, f"message to {email}\n")
        return {"message": "Message sent"}

    install(app)
    answer = TestClient(app).post("/send-notification/foo@example.com?q=some-query")
    assert answer.json() == {"message": "Message sent"}
    assert (directory / "log.txt").read_text() == "found query: some-query\nmessage to foo@example.com\n"
