"""The command that runs the unit tests in shares: none is left out, and none is run twice."""

import subprocess
from collections.abc import Callable
from typing import IO

import pytest

from scripts import unit
from tests.leaving_out import left_out


def test_each_file_that_has_unit_tests_is_in_one_share() -> None:
    shares = unit.shares()
    files = [file for share in shares for file in share]
    assert len(files) == len(set(files))
    tests = (unit.ROOT / "tests").rglob("test_*.py")
    assert set(files) == {
        str(file.relative_to(unit.ROOT)) for file in tests if not left_out(unit.EXPRESSION, file)
    }
    assert len(shares) == unit.SHARES
    assert all(shares)


class Pytest:
    """Stands for a pytest that ends so."""

    def __init__(self, code: int, closing: str) -> None:
        self.code = code
        self.closing = closing

    def wait(self) -> int:
        return self.code


@pytest.mark.parametrize(
    ("ends", "code", "last"),
    [
        ([(0, "3 passed in 1.0s"), (0, "4 passed, 1 skipped in 1.0s")], 0, "7 passed, 1 skipped"),
        ([(0, "3 passed in 1.0s"), (1, "1 failed, 4 passed in 1.0s")], 1, "1 failed, 7 passed"),
        ([(5, "2 deselected in 0.1s"), (0, "3 passed in 1.0s")], 0, "3 passed"),
        ([(5, "2 deselected in 0.1s"), (5, "1 deselected in 0.1s")], 5, "no tests ran"),
        ([(2, "1 error in 0.1s"), (0, "3 passed in 1.0s")], 2, "3 passed"),
        ([(-9, ""), (0, "3 passed in 1.0s")], -9, "3 passed"),
    ],
)
def test_it_fails_if_one_of_them_does(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ends: list[tuple[int, str]],
    code: int,
    last: str,
) -> None:
    left = list(ends)

    def start(command: list[str], *, stdout: IO[str], **_: object) -> Pytest:
        code, closing = left.pop(0)
        stdout.write(closing + "\n")
        return Pytest(code, closing)

    started: Callable[..., Pytest] = start
    monkeypatch.setattr(subprocess, "Popen", started)
    monkeypatch.setattr(unit, "shares", lambda: [["tests/a.py"] for _ in ends])
    assert (unit.main([]) != 0) is (code != 0)
    assert capsys.readouterr().out.splitlines()[-1] == last
