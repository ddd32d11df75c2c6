"""Releases that Postlude has not been tried with: PL009."""

from importlib.metadata import PackageNotFoundError

import pytest

from postlude.check.rules import versions
from postlude.frameworks.fastapi.hook import SUPPORTED


def _with(monkeypatch: pytest.MonkeyPatch, **installed: str) -> list[str]:
    def version(name: str) -> str:
        if name not in installed:
            raise PackageNotFoundError
        return installed[name]

    monkeypatch.setattr(versions, "version", version)
    return [one.says for one in versions.unsupported()]


@pytest.mark.parametrize(
    ("installed", "says"),
    [
        ({"fastapi": "0.115.0", "starlette": "0.37.2"}, []),
        ({"fastapi": "0.165.9", "starlette": "1.10.3"}, []),
        ({"starlette": "0.41.3"}, []),
        ({"fastapi": "0.114.2", "starlette": "0.38.0"}, ["fastapi 0.114.2 is too old"]),
        ({"fastapi": "0.166.0"}, ["fastapi 0.166.0 has not been tried yet"]),
        ({"fastapi": "1.0.0rc1"}, ["fastapi 1.0 has not been tried yet"]),
        ({"starlette": "0.37.1"}, ["starlette 0.37.1 is too old"]),
    ],
)
def test_only_releases_that_were_not_tried_are_told(
    monkeypatch: pytest.MonkeyPatch, installed: dict[str, str], says: list[str]
) -> None:
    assert _with(monkeypatch, **installed) == says


def test_the_releases_are_those_that_the_hook_names() -> None:
    oldest, newest = versions.OLDEST["fastapi"], versions.NEWEST["fastapi"]
    assert f"{versions.shown(oldest)} to {versions.shown(newest)}" == SUPPORTED
