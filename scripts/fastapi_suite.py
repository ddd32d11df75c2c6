"""Run FastAPI's own tests twice, without and with a Postlude on every application, and compare.

    python scripts/fastapi_suite.py DIRECTORY RELEASE

DIRECTORY is a checkout or an unpacked source distribution of that release; nothing of it is kept here.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]


def outcomes(report: Path) -> dict[str, str]:
    """Read from a report how each test has ended."""
    ended: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = [part.tag for part in case if part.tag in ("failure", "error", "skipped")]
        ended[f"{case.get('classname')}::{case.get('name')}"] = kinds[0] if kinds else "passed"
    return ended


def run(python: str, directory: Path, report: Path, *options: str) -> dict[str, str]:
    """Run the tests; returns how each has ended."""
    paths = os.pathsep.join(map(str, (ROOT / "scripts", ROOT / "src", directory)))
    command = [python, "-m", "pytest", "tests", "-q", "-n", "2", "-p", "no:cacheprovider", "-p", "no:sugar",
               "-p", "no:randomly", "--timeout", "120", f"--junit-xml={report}", *options]  # fmt: skip
    subprocess.run(command, cwd=directory, env={**os.environ, "PYTHONPATH": paths}, check=False)
    return outcomes(report)


def main(directory: Path, release: str) -> int:
    """Compare; 1 if a test fails with a Postlude alone."""
    with tempfile.TemporaryDirectory(prefix="postlude-fastapi-") as folder:
        python = f"{folder}/venv/bin/python"
        uv = [sys.executable, "-m", "uv", "--quiet"]
        subprocess.run([*uv, "venv", "--python", sys.executable, f"{folder}/venv"], check=True)
        group = f"{directory / 'pyproject.toml'}:tests"
        subprocess.run(
            [*uv, "pip", "install", "--python", python, "--group", group, f"fastapi[all]=={release}", "apsw"],
            check=True,
        )
        without = run(python, directory, Path(folder, "without.xml"))
        given = run(python, directory, Path(folder, "with.xml"), "-p", "with_postlude")
    worse = [
        name for name, end in given.items() if end in ("failure", "error") and without.get(name) == "passed"
    ]
    for name in worse:
        print(f"fails only with a Postlude: {name}")
    passed = [sum(end == "passed" for end in one.values()) for one in (without, given)]
    print(f"FastAPI {release}: {passed[0]} passed without, {passed[1]} with; {len(worse)} fail only with")
    return int(bool(worse))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2]))
