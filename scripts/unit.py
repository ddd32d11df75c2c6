"""Run the tests that need neither a disk nor other processes, in several pytests at once.

    python scripts/unit.py [-k claim] [tests/stores]

Options and paths are pytest's. Where no path is given, each pytest has its share of the files: then it
collects nothing else, and nobody hands over tests and reports one by one, which took a fifth of the whole
(pytest-xdist).
"""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.leaving_out import left_out  # noqa: E402

EXPRESSION: Final = "not slow and not process and not disk"
PYTEST: Final = (
    *(sys.executable, "-m", "pytest", "-q", "-p", "no:xdist"),
    *("-m", EXPRESSION, "--hypothesis-profile=quick"),
)
SHARES: Final = 4
"""More than there are cores: some of the tests wait."""

WHOLE_SUITES: Final = {"test_conformance.py": 50_000, "test_toy.py": 50_000}
"""Files that run a suite of the package's, and for how many bytes of tests that counts."""

NO_TESTS: Final = 5
"""The exit code of a pytest that found none."""


def shares() -> list[list[str]]:
    """Return the files of each pytest: about as much to do for each, by their sizes.

    Those of a small folder stay together: they import the same, and what they read and parse they keep.
    """
    sizes = {
        file: file.stat().st_size + WHOLE_SUITES.get(file.name, 0)
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        if not left_out(EXPRESSION, file)
    }
    folders: dict[str, list[Path]] = {}
    for file in sizes:
        folders.setdefault(file.relative_to(ROOT / "tests").parts[0], []).append(file)
    small = sum(sizes.values()) / (2 * SHARES)
    parts: list[list[Path]] = []
    for files in folders.values():
        together = sum(map(sizes.__getitem__, files)) <= small
        parts += [files] if together else [[file] for file in files]
    found: list[list[str]] = [[] for _ in range(SHARES)]
    given = [0] * SHARES
    for part in sorted(parts, key=lambda part: -sum(map(sizes.__getitem__, part))):
        least = given.index(min(given))
        found[least] += [str(file.relative_to(ROOT)) for file in part]
        given[least] += sum(map(sizes.__getitem__, part))
    return found


def main(given: list[str]) -> int:
    """Run them; returns an exit code."""
    if any((ROOT / each.partition("::")[0]).exists() for each in given):
        return subprocess.call([*PYTEST, *given], cwd=ROOT)
    counts: Counter[str] = Counter()
    codes = []
    with ExitStack() as open_files:
        running = []
        for files in shares():
            output = open_files.enter_context(tempfile.TemporaryFile("w+"))
            command = [*PYTEST, "-p", "no:cacheprovider", *given, *files]
            running.append(
                (subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT), output)
            )
        for process, output in running:
            codes.append(process.wait())
            output.seek(0)
            text = output.read()
            if codes[-1] not in (0, NO_TESTS):
                print(text, end="")
            closing = text.rstrip().rpartition("\n")[2]
            counts += Counter({word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", closing)})
    told = [f"{counts[word]} {word}" for word in ("failed", "errors", "passed", "skipped") if counts[word]]
    print(", ".join(told) or "no tests ran")
    if set(codes) == {NO_TESTS}:
        return NO_TESTS
    return next((code for code in codes if code not in (0, NO_TESTS)), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
