"""What whoever starts a server is told: where the journal is, and how much waits in it."""

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from postlude import Postlude, compat
from postlude.telemetry.startup_log import announce, count_of
from tests.app.work import note

MAIN = """
import os
import signal
from contextlib import asynccontextmanager
from fastapi import FastAPI
from postlude import Postlude
{before}

@asynccontextmanager
async def lifespan(app):
    os.kill(os.getpid(), signal.SIGTERM)
    yield

app = FastAPI(lifespan=lifespan)
postlude = Postlude(app)
{after}
"""

WARNS = """
import logging.config
start = postlude.components.serve

def configure():
    logging.config.dictConfig({{
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {{"mine": {{"format": "MINE %(message)s"}}}},
        "handlers": {{"mine": {{"class": "logging.StreamHandler", "formatter": "mine"}}}},
        "root": {{"handlers": ["mine"]}},
    }})

async def serve():
    {later}
    logging.getLogger("postlude.runner").warning("take care")
    logging.getLogger("another").warning("another's")
    await start()

postlude.components.serve = serve
"""

SCRIPT = """
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient
from postlude import Postlude

app = FastAPI()
postlude = Postlude(app)

def job(): pass

@app.get("/")
def add(tasks: BackgroundTasks):
    tasks.add_task(lambda: None)
    tasks.add_task(job)

postlude.blocking.add_task(job)
TestClient(app).get("/")
"""

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def start(folder: Path, *options: str, before: str = "", after: str = "", **environment: str) -> str:
    """Run an application under uvicorn until it has started; return what is written."""
    folder.joinpath("main.py").write_text(MAIN.format(before=before, after=after))
    done = subprocess.run(
        [sys.executable, "-m", "uvicorn", "main:app", "--port", "0", *options],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,  # uvicorn ends by the signal that it was sent
    )
    assert "Application startup complete" in done.stderr or "warning" in options
    return done.stdout + done.stderr


def lines(output: str) -> list[str]:
    return [line for line in output.splitlines() if "journal: /" in line]


@pytest.mark.slow
class TestUvicorn:
    """A real one."""

    @pytest.mark.parametrize(
        ("waiting", "words"), [(0, "0 jobs wait"), (1, "1 job waits"), (2, "2 jobs wait")]
    )
    def test_plain(self, folder: Path, waiting: int, words: str) -> None:
        earlier = Postlude(store="sqlite:///postlude.db")
        for _ in range(waiting):
            earlier.blocking.add_task(note, "a")
        output = start(folder)
        assert len(lines(output)) == 1, output
        journal = re.escape(f"journal: {folder / 'postlude.db'}; {words}")
        assert re.fullmatch(f"INFO:     {TIME} postlude: {journal}", lines(output)[0]), output

    def test_configured_logging_has_it_once(self, folder: Path) -> None:
        output = start(folder, before="import logging; logging.basicConfig(level=logging.INFO)")
        assert len(lines(output)) == 1, output
        assert lines(output)[0].startswith("INFO:postlude:journal: ")

    @pytest.mark.parametrize(
        ("before", "later", "wanted"),
        [
            ("", "", f"WARNING:  {TIME} postlude.runner: take care"),
            ("import logging; logging.basicConfig(format='MINE %(message)s')", "", "MINE take care"),
            ("", "configure()", "MINE take care"),
        ],
        ids=["nothing", "before", "later"],
    )
    def test_warnings_have_a_level_and_a_time_and_say_whose_they_are(
        self, folder: Path, before: str, later: str, wanted: str
    ) -> None:
        output = start(folder, before=before, after=WARNS.format(later=later))
        (line,) = [line for line in output.splitlines() if "take care" in line]
        assert re.fullmatch(wanted, line), output
        assert ("another's" in output.splitlines()) is not bool(before or later), "logging's own last resort"

    def test_so_have_those_of_a_script_and_of_a_server_without_lifespan(self, folder: Path) -> None:
        folder.joinpath("script.py").write_text(SCRIPT)
        done = subprocess.run(
            [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, timeout=60, check=True
        )
        lines = done.stderr.splitlines()
        assert [re.sub(f"^WARNING:  {TIME} postlude: ", "", line)[:20] for line in lines] == [
            "no living process ru", f"{folder / 'script.py'}:"[:20], "no lifespan runs on ",
        ], done.stderr  # fmt: skip

    def test_a_level_of_its_own_is_kept(self, folder: Path) -> None:
        output = start(folder, before="import logging; logging.getLogger('postlude').setLevel('WARNING')")
        assert lines(output) == []

    def test_a_quiet_server_stays_quiet(self, folder: Path) -> None:
        assert lines(start(folder, "--log-level", "warning")) == []

    def test_off(self, folder: Path) -> None:
        output = start(folder, POSTLUDE_STORE="off")
        assert len(re.findall(f"(?m)^INFO:     {TIME} postlude: off: nothing is stored", output)) == 1, output
        assert not folder.joinpath("postlude.db").exists()


class Told(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.name} {record.getMessage()}")


@pytest.fixture(params=["uvicorn.error", "gunicorn.error", "hypercorn.error", compat.GRANIAN_LOG])
def server(request: pytest.FixtureRequest) -> Iterator[Told]:
    """The server's logger, as it sets it up."""
    told, logger = Told(), logging.getLogger(request.param)
    before = logger.level, logger.propagate
    logger.addHandler(told)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    told.set_name(request.param)
    yield told
    logger.removeHandler(told)
    logger.setLevel(before[0])
    logger.propagate = before[1]


def test_the_servers_log_is_used_where_ours_shows_nothing(
    server: Told, caplog: pytest.LogCaptureFixture
) -> None:
    announce("here")
    assert server.texts == [f"{server.name} postlude: here"]
    with caplog.at_level(logging.INFO, "postlude"):
        announce("there")
    with caplog.at_level(logging.WARNING, "postlude"):
        announce("nowhere")
    assert server.texts == [f"{server.name} postlude: here"]
    assert [record.message for record in caplog.records if record.name == "postlude"] == ["there"]


def test_granian_calls_its_logger_so() -> None:
    from granian.log import logger

    assert logger.name == compat.GRANIAN_LOG


def test_count_of() -> None:
    counted = [count_of(number, "job waits", "jobs wait") for number in (0, 1, 2)]
    assert counted == ["0 jobs wait", "1 job waits", "2 jobs wait"]
