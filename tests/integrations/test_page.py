"""docs/telemetry.md: its code runs, and what it names is there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from postlude import Postlude
from postlude.app.measures import MOST_TASKS, Measures, metrics_of
from postlude.integrations.capped import MOST_TASKS as CAPPED
from postlude.integrations.opentelemetry import instrument

PAGE = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text("utf-8")
PIECES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SNIPPETS = [code for code in PIECES if "Postlude(app)" in code]
(CONSOLE,) = (code for code in PIECES if code not in SNIPPETS)


@pytest.mark.parametrize("code", SNIPPETS)
def test_its_code_runs(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTLUDE_STORE", "memory")
    space: dict[str, object] = {"__name__": "main"}
    exec(compile(code, "telemetry.md", "exec"), space)
    assert isinstance(space["postlude"], Postlude)


USED = """
from fastapi import BackgroundTasks
from fastapi.testclient import TestClient

def send() -> None: ...

@app.post("/")
def route(tasks: BackgroundTasks) -> None:
    tasks.add_task(send)

with TestClient(app) as client:
    client.post("/")
"""


@pytest.mark.process
def test_spans_are_seen_on_the_console(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(CONSOLE + SNIPPETS[0] + USED)
    told = subprocess.run(
        [sys.executable, "main.py"], cwd=tmp_path, env=os.environ | {"POSTLUDE_STORE": "memory"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert {"add main:send", "run main:send"} <= set(re.findall(r'"name": "(.*?)"', told.stdout))


def test_there_is_code() -> None:
    assert len(SNIPPETS) >= 3


def test_its_metrics_are_those_that_there_are() -> None:
    names: set[str] = set()

    class Meters(MeterProvider):
        def get_meter(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
            return Meter()

    class Meter:
        def __getattr__(self, create: str) -> object:
            return lambda name, *rest, **more: names.add(name)

    instrument(Postlude(store="memory", packages=["tests"]), meter_provider=Meters([InMemoryMetricReader()]))
    table = PAGE.partition("| metric |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(postlude\.[\w.]+)`", table)) == names


def test_so_are_those_for_prometheus() -> None:
    table = PAGE.partition("## Prometheus")[2].partition("| metric |")[2].partition("\n\n")[0]
    named = re.findall(r"`(postlude_\w+)`", table)
    assert named == [metric.name for metric in metrics_of(Measures())]


def test_so_many_tasks_are_told_apart_as_it_says() -> None:
    assert f"`task` is one of the {MOST_TASKS} that the journal has met first" in PAGE
    assert f"`task` has {CAPPED} values, then `other`" in PAGE.replace("\n", " ")


@pytest.mark.process
def test_nothing_is_imported_unless_asked() -> None:
    code = (
        "import sys, postlude, postlude.starlette\n"
        "postlude.Postlude(store='memory')\n"
        "others = ('postlude.integrations', 'sentry_sdk', 'opentelemetry.sdk', 'prometheus_client')\n"
        "print([name for name in sys.modules if name.startswith(others)])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
