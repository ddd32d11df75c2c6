"""Run FastAPI's own tests with a Postlude on every application, and those that fail once more without.

    python scripts/fastapi_suite.py DIRECTORY RELEASE

DIRECTORY is a checkout or an unpacked source distribution of that release; nothing of it is kept here.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def failed(python: str, directory: Path, cache: Path, *options: str) -> set[str]:
    """Run tests; returns which fail."""
    paths = os.pathsep.join(map(str, (ROOT / "scripts", ROOT / "src", directory)))
    command = [
        python,
        "-m",
        "pytest",
        "tests",
        "-q",
        "-n",
        "2",
        "-o",
        f"cache_dir={cache}",
        "--timeout",
        "120",
    ]
    subprocess.run([*command, *options], cwd=directory, env={**os.environ, "PYTHONPATH": paths}, check=False)
    kept = cache / "v" / "cache" / "lastfailed"
    return set(json.loads(kept.read_text("utf-8"))) if kept.exists() else set()


def main(directory: Path, release: str) -> int:
    """Compare; 1 if a test fails with a Postlude alone."""
    with tempfile.TemporaryDirectory(prefix="postlude-fastapi-") as folder:
        python, cache = f"{folder}/venv/bin/python", Path(folder, "cache")
        uv = [sys.executable, "-m", "uv", "--quiet"]
        subprocess.run([*uv, "venv", "--python", sys.executable, f"{folder}/venv"], check=True)
        group = f"{directory / 'pyproject.toml'}:tests"
        wanted = ["--group", group, f"fastapi[all]=={release}", "apsw"]
        subprocess.run([*uv, "pip", "install", "--python", python, *wanted], check=True)
        given = failed(python, directory, cache, "-p", "with_postlude")
        without = failed(python, directory, cache, "--last-failed", "--last-failed-no-failures=none")
    worse = sorted(given - without)
    for name in worse:
        print(f"fails only with a Postlude: {name}")
    print(f"FastAPI {release}: {len(given)} fail with a Postlude, {len(worse)} of them only so")
    return int(bool(worse))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2]))
