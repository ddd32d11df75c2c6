"""`make test` to its end: no red stage hides another, and the last lines say what has happened."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.stages import read, summary

ROOT = Path(__file__).parents[2]

PYTEST = """
..s.F                                                                    [100%]
=========================== short test summary info ============================
SKIPPED [2] tests/demo/test_page.py:40: no Chromium here: apt-get install chromium
FAILED tests/app/test_order.py::test_order - assert 1 == 2
1 failed, 3 passed, 2 skipped, 118 deselected in 61.46s (0:01:01)
"""

LOUD = "\x1b[33m== \x1b[32m5 passed\x1b[0m, 1 skipped, \x1b[31m1 error\x1b[0m in 0.12s ==\x1b[0m\n"

MAKEFILE = """
.PHONY: good bad tests
good:
\t@echo said by good
bad:
\t@echo said by bad >&2; false
tests:
\t@echo '1 failed, 2 passed in 0.01s'; false
"""


def test_what_the_tests_of_all_stages_came_to_is_the_last_line() -> None:
    stages = [
        read("lint", 0, 1, "All checks passed!"),
        read("newest", 1, 2, PYTEST),
        read("suite", 0, 3, LOUD),
    ]
    last = summary(stages)
    assert last[-1] == "8 passed, 1 failed, 1 error, 3 skipped"
    assert last[-2] == "FAILED: newest"
    named = "SKIPPED [2] tests/demo/test_page.py:40: no Chromium here: apt-get install chromium"
    assert f"  newest: {named}" in last


def test_a_run_without_a_fault_says_so() -> None:
    last = summary([read("lint", 0, 1, "All checks passed!"), read("suite", 0, 3, "4 passed in 1.20s\n")])
    assert last[-3:] == ["No test was skipped.", "Every stage passed.", "4 passed, 0 failed, 0 skipped"]


def test_other_lines_are_no_counts() -> None:
    output = "2 passed in 3 tries\nit said: 3 passed in 0.1s\n7 errors in 2 files\n"
    assert not read("types", 1, 1, output).counts


@pytest.mark.process
@pytest.mark.parametrize(
    ("stages", "code", "last"),
    [
        (["bad", "tests", "good"], 1, ["FAILED: bad, tests", "2 passed, 1 failed, 0 skipped"]),
        (["good", "missing"], 1, ["FAILED: missing", "0 passed, 0 failed, 0 skipped"]),
        (["good"], 0, ["Every stage passed.", "0 passed, 0 failed, 0 skipped"]),
    ],
    ids=["a red one first", "an unknown one", "a green one"],
)
def test_every_stage_runs(tmp_path: Path, stages: list[str], code: int, last: list[str]) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE, "utf-8")
    command = [sys.executable, str(ROOT / "scripts/stages.py"), *stages]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-2:]) == (code, last)
    assert [f"said by {name}" in done.stdout for name in ("good", "bad")] == [True, "bad" in stages]
    assert done.stderr == ""
