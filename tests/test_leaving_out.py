"""A file is left out before it is imported where all its tests would be, and nowhere else."""

from pathlib import Path

import pytest

from tests.leaving_out import left_out, marks_of

UNIT = "not slow and not process and not disk"
IN_PART = 'pytestmark = pytest.mark.parametrize("a", [pytest.param(1, marks=pytest.mark.disk)])'


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("pytestmark = pytest.mark.disk\n", {"disk"}),
        ("import x\n\npytestmark = [pytest.mark.anyio, pytest.mark.slow]\n\nx = 1\n", {"anyio", "slow"}),
        (
            "pytestmark = [\n    pytest.mark.slow,\n    pytest.mark.skipif(1, reason=''),\n]\n",
            {"slow", "skipif"},
        ),
        ("pytestmark = EVERY_STORE\ny = pytest.mark.slow\n", set()),
        (IN_PART, {"parametrize"}),
        ("@pytest.mark.slow\ndef test(): ...\n", set()),
    ],
)
def test_the_marks_of_a_file(tmp_path: Path, text: str, marks: set[str]) -> None:
    file = tmp_path / "test_a.py"
    file.write_text(text)
    assert marks_of(file) == marks
    assert left_out(UNIT, file) is (not marks.isdisjoint({"slow", "disk"}))
    assert not left_out("slow", file)
    assert not left_out("not slow or not disk", file)
    assert not left_out("", file)


def test_a_folder_is_left_out_with_all_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    assert not left_out(UNIT, tmp_path)
    (tmp_path / "inner" / "test_a.py").write_text("pytestmark = pytest.mark.disk\n")
    assert left_out(UNIT, tmp_path)
    (tmp_path / "test_b.py").write_text("pytestmark = pytest.mark.anyio\n")
    assert not left_out(UNIT, tmp_path)
    assert not left_out(UNIT, tmp_path / "conftest.txt")
