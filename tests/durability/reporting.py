"""Figures of a test, shown although pytest keeps what tests print."""

from collections.abc import Callable

import pytest

Report = Callable[[str], None]


def reporter(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Report:
    """Return what prints a test's figures under its name."""

    def show(text: str) -> None:
        with capsys.disabled():
            print(f"\n{request.node.name}: {text}", end="")  # noqa: T201

    return show
