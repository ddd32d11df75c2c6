"""mypy and pyright find the errors that the examples beside this file claim, and no others."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FILES = [f"tests/typing/{name}" for name in ("added.py", "declared.py", "joined.py")]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command, *FILES], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("file", FILES)
def test_the_examples_claim_errors(file: str) -> None:
    claims = re.findall(r"# type: ignore\[[\w, -]+\]$", (ROOT / file).read_text("utf-8"), re.MULTILINE)
    assert len(claims) >= 10


@pytest.mark.process
def test_mypy() -> None:
    pytest.importorskip("mypy")
    done = run("mypy", "--strict", "--warn-unused-ignores")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.process
def test_pyright() -> None:
    pytest.importorskip("pyright")
    done = run("pyright", "--outputjson", "--pythonpath", sys.executable)
    try:
        findings = json.loads(done.stdout)["generalDiagnostics"]
    except ValueError:
        pytest.skip(f"pyright cannot run here: {(done.stdout + done.stderr)[-300:]}")
    assert [(f["file"], f["range"]["start"]["line"] + 1, f["message"]) for f in findings] == []
