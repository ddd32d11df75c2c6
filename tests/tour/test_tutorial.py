"""The tutorial: each step is a whole program that does what its words say; and its translations."""

import importlib
import re
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import pytest
from starlette.testclient import TestClient

DOCS: Final = Path(__file__).parents[2] / "docs"


def steps(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """A step as `main.py`, imported in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTLUDE_STORE", "memory")
    name = f"tutorial_step_{request.param}"
    Path(f"{name}.py").write_text(steps("tutorial.md")[request.param - 1])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module(name)


@pytest.mark.parametrize("program", [1], indirect=True)
def test_the_same_page_durable(program: Any) -> None:
    with TestClient(program.app) as client:
        answer = client.post("/notifications/ada@example.org")
        assert answer.json() == {"message": "it will be sent"}
    assert Path("log.txt").read_text() == "ada@example.org: welcome\n"
    assert program.postlude.counters.memory_tasks == ()


@pytest.mark.parametrize("program", [2], indirect=True)
def test_a_policy(program: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from postlude.testing import PostludeJobs

    with PostludeJobs() as kit, TestClient(program.app) as client:
        jobs = kit.of(program.postlude)
        client.post("/notifications/ada@example.org")
        jobs.advance(minutes=5)
        ((job,)) = jobs.added(program.send_mail)
        assert (job.state, program.busy) == ("succeeded", [])
    assert capsys.readouterr().out == "to ada@example.org: welcome\n"


@pytest.mark.parametrize("program", [3], indirect=True)
def test_accepted(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "sleep", lambda seconds: None)
    with TestClient(program.app) as client:
        answer = client.post("/counts?most=5")
        assert answer.status_code == 202
        status = client.get(answer.headers["location"]).json()
    assert (status["state"], status["result"]) == ("succeeded", 5)


@pytest.mark.parametrize("program", [3], indirect=True)
def test_accepted_and_stopped(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[float] = []

    def cancelled_meanwhile(seconds: float) -> None:
        if not begun:
            program.postlude.blocking.cancel(program.current_job().id)
        begun.append(seconds)
        sleep(0.001)  # until it is heard

    monkeypatch.setattr(program, "sleep", cancelled_meanwhile)
    with TestClient(program.app) as client:
        status = client.get(client.post("/counts?most=5000").headers["location"]).json()
    assert (status["state"], status["done"]) == ("cancelled", True)
    assert 0 < len(begun) < 5000


@pytest.mark.disk
@pytest.mark.parametrize("program", [4], indirect=True)
def test_in_a_transaction(program: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with TestClient(program.app) as client:
        assert client.post("/orders?email=ada@example.org").json() == {"id": 1}
        said, until = "", monotonic() + 10
        while not said and monotonic() < until:  # it follows the transaction: the client does not wait for it
            sleep(0.01)
            said = capsys.readouterr().out
    assert said == "to ada@example.org: your order 1\n"


@pytest.mark.parametrize("program", [5], indirect=True)
def test_on_a_schedule(program: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from postlude.testing import PostludeJobs

    with PostludeJobs() as kit:
        kit.of(program.postlude).advance(days=7)
    assert capsys.readouterr().out == "good morning\n" * 5


def test_there_is_no_other_step_with_code() -> None:
    assert len(steps("tutorial.md")) == 5


@pytest.mark.parametrize("language", ["pt", "fr"])
def test_a_translation_has_the_first_steps_code(language: str) -> None:
    assert steps(f"tutorial.{language}.md") == steps("tutorial.md")[:1]


def test_the_ledger_names_tests_that_are_there() -> None:
    named = re.findall(r"`(tests/[^`]+)`", (DOCS / "promises.md").read_text("utf-8"))
    assert len(named) >= 15
    root = DOCS.parent
    assert [name for name in named if not (root / name).is_file()] == []
    at_faults = {
        f"tests/durability/{path.name}" for path in (root / "tests" / "durability").glob("test_*.py")
    }
    assert at_faults - set(named) <= {"tests/durability/test_no_lifespan.py", "tests/durability/test_once.py"}
