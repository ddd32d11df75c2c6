"""The package as it is built: twice the same, with all that it needs, and with its version."""

import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import postlude
from scripts import package


def test_the_version_is_the_package_s() -> None:
    assert postlude.__version__ == version("postlude")


def test_each_extra_has_a_proof() -> None:
    assert set(package.extras()) == set(package.PROOFS)


@pytest.mark.slow
@pytest.mark.process
def test_two_builds_are_equal_and_have_all_files(tmp_path: Path) -> None:
    wheel, source = package.reproduced(tmp_path)
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    assert "postlude/new/templates/main.py.jinja" in names
    assert "postlude/dashboard/static/dashboard.css" in names
    assert "postlude/stores/sqlite/sql/0001.sql" in names
    assert "postlude/py.typed" in names
    assert source.name.endswith(".tar.gz")


def test_a_wheel_that_lacks_files_is_seen(tmp_path: Path) -> None:
    wheel = tmp_path / "x.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("postlude/py.typed", "")
    missing = package.absent(wheel)
    assert "postlude/new/templates/main.py.jinja" in missing
    assert "postlude/py.typed" not in missing


@pytest.mark.slow
@pytest.mark.process
def test_builds_that_differ_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = package.copied
    count = iter(range(9))

    def changed(folder: Path) -> Path:
        made = copy(folder)
        (made / "src/postlude/py.typed").write_text(str(next(count)))
        return made

    monkeypatch.setattr(package, "copied", changed)
    with pytest.raises(package.Wrong, match="differ"):
        package.reproduced(tmp_path)
