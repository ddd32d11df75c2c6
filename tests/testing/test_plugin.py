"""The plug-in that keeps an application's tests away from a developer's journal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

APPLICATION = """
from fastapi import BackgroundTasks, FastAPI
from postlude import Postlude

app = FastAPI()
postlude = Postlude(app)
done = []


def note(word: str) -> None:
    done.append(word)


@app.post("/")
def add(background_tasks: BackgroundTasks) -> None:
    background_tasks.add_task(note, "written")
"""

TEST = """
import shop
from fastapi.testclient import TestClient


def test_shop():
    with TestClient(shop.app) as client:
        assert client.post("/").status_code == 200
    assert shop.done == ["written"]
"""


@pytest.mark.parametrize(("chosen", "written"), [(None, False), ("sqlite:///chosen.db", True)])
def test_the_journal_is_in_memory_unless_the_environment_chose(
    tmp_path: Path, chosen: str | None, written: bool
) -> None:
    (tmp_path / "shop.py").write_text(APPLICATION, "utf-8")
    (tmp_path / "test_shop.py").write_text(TEST, "utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "POSTLUDE_STORE"}
    if chosen is not None:
        environment["POSTLUDE_STORE"] = chosen
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert [path.name for path in tmp_path.glob("*.db")] == (["chosen.db"] if written else [])
