"""Run the tests that depend on FastAPI and Starlette with many releases of them, and on each Python here.

    python scripts/versions.py              the first and last patch of each minor
    python scripts/versions.py --all        every release
    python scripts/versions.py 0.137.0 ...  these, and every test of the request's side

Releases are those of requirements/versions.txt; everything else is pinned by requirements/dev.txt. Each gets
an environment of its own, made by uv (a second, from its cache) and removed afterwards.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]
PINS = ROOT / "requirements" / "dev.txt"
RELEASES = ROOT / "requirements" / "versions.txt"

COMPAT = "tests/test_compat.py"
APPLICATION = ("tests/versions/test_application.py", "tests/versions/test_internals.py", COMPAT)
STARLETTE = ("tests/versions/test_starlette.py", COMPAT)
SIDE = ("tests/request", "tests/frameworks/fastapi")
REQUEST = (*APPLICATION, *SIDE, "-m", "not disk and not process and not slow")

TURNS = ("0.117.1", "0.136.3", "0.137.0", "0.142.0", "0.142.1")
"""The ends of stretches in which FastAPI works alike: with these, every test of the request's side is run.

Not with those before 0.115.3, whose Starlette sends no body to a client that is about to go, and from 0.118
to 0.121.0, where no dependency can leave before the response: what the tests say of that does not hold there.
"""

TOOLS = (
    "anyio", "apsw", "cronsim", "httpx", "httpx2", "hypothesis", "opentelemetry-api", "pydantic", "pytest",
    "pytest-timeout", "python-multipart", "trio", "typing_extensions", "tzdata", "uvicorn",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One run: a release, on a Python, and what is run."""

    package: str
    release: str
    python: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run has ended."""

    entry: Entry
    passed: int
    output: str
    """What it has printed, if it failed; else nothing."""
    beside: str
    """The other framework's release, as the resolver has chosen it."""


def key(release: str) -> tuple[int, ...]:
    """Return what releases are sorted by."""
    return tuple(map(int, release.split(".")))


def releases(package: str) -> list[str]:
    """Return the pinned releases of a package, oldest first."""
    lines = RELEASES.read_text("utf-8").split()
    return sorted((line.partition("==")[2] for line in lines if line.startswith(f"{package}==")), key=key)


def ends(known: Sequence[str]) -> list[str]:
    """Return the first and the last patch of each minor."""
    minors = [list(group) for _, group in groupby(known, lambda release: key(release)[:2])]
    return [patch for minor in minors for patch in dict.fromkeys((minor[0], minor[-1]))]


def pythons() -> list[str]:
    """Return the newest patch of each Python here that Postlude supports, oldest first."""
    found: dict[tuple[int, ...], str] = {sys.version_info[:2]: sys.executable}
    kept = {path.parts[-3]: path for path in (Path.home() / ".pyenv" / "versions").glob("3.*/bin/python")}
    for name in sorted((name for name in kept if re.fullmatch(r"[\d.]+", name)), key=key, reverse=True):
        if key(name) >= (3, 11):
            found.setdefault(key(name)[:2], str(kept[name]))
    for minor in range(11, 16):
        if path := shutil.which(f"python3.{minor}"):
            found.setdefault((3, minor), path)
    return [found[version] for version in sorted(found)]


def matrix(every: bool, chosen: Sequence[str]) -> Iterator[Entry]:
    """Return what is run."""
    here = sys.executable
    fastapis, starlettes = releases("fastapi"), releases("starlette")
    if chosen:
        yield from (Entry("fastapi", release, here, REQUEST) for release in chosen)
        return
    for release in fastapis if every else ends(fastapis):
        yield Entry("fastapi", release, here, REQUEST if release in TURNS else APPLICATION)
    for release in starlettes if every else ends(starlettes):
        yield Entry("starlette", release, here, STARLETTE)
    for python in pythons():
        if python != here:
            yield from (
                Entry("fastapi", release, python, APPLICATION) for release in (fastapis[0], fastapis[-1])
            )


def as_pip() -> dict[str, str]:
    """Return the environment for uv: packages come from where pip has them, Pythons only from here."""
    said = {"UV_DEFAULT_INDEX": "PIP_INDEX_URL", "SSL_CERT_FILE": "PIP_CERT"}
    taken = {ours: os.environ[theirs] for ours, theirs in said.items() if os.environ.get(theirs)}
    return {"UV_PYTHON_DOWNLOADS": "never", **taken, **os.environ}


def run(entry: Entry) -> Ran:
    """Make an environment, and run the tests in it."""
    with tempfile.TemporaryDirectory(prefix="postlude-versions-") as folder:
        python = f"{folder}/bin/python"
        pins = Path(folder, "pins.txt")
        lines = PINS.read_text("utf-8").splitlines()
        pins.write_text("\n".join(line for line in lines if not line.startswith(("fastapi=", "starlette="))))
        tools = [tool for tool in TOOLS if entry.package == "fastapi" or tool != "opentelemetry-api"]
        uv = [sys.executable, "-m", "uv", "--quiet"]
        for command in (
            [*uv, "venv", "--allow-existing", "--python", entry.python, folder],
            [*uv, "pip", "install", "--python", python, "--constraint", str(pins),
             f"{entry.package}=={entry.release}", *tools],
        ):  # fmt: skip
            made = subprocess.run(command, env=as_pip(), capture_output=True, text=True, check=False)
            if made.returncode != 0:
                return Ran(entry, 0, made.stdout + made.stderr, "")
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        tested = subprocess.run(
            [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", *entry.tests],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        beside = next(Path(folder).glob("lib/python*/site-packages/starlette-*.dist-info")).name
    output = "" if tested.returncode == 0 else tested.stdout + tested.stderr
    passed = re.search(r"(\d+) passed", tested.stdout)
    return Ran(entry, int(passed[1]) if passed else 0, output, beside.removesuffix(".dist-info"))


def main() -> int:
    """Run the matrix; 1 if something has failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("releases", nargs="*", help="of FastAPI; for these every test of the request's side")
    parser.add_argument("--all", action="store_true", help="every release, not the ends of minors alone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at once")
    options = parser.parse_args()
    began = time.monotonic()
    failed: list[Entry] = []
    passed = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for ran in pool.map(run, matrix(options.all, options.releases)):
            entry = ran.entry
            passed += ran.passed
            version = re.search(r"3\.\d+(\.\d+)?", entry.python)
            python = version[0] if version and entry.python != sys.executable else ""
            end = "FAILED" if ran.output else f"{ran.passed} passed"
            print(f"{entry.package} {entry.release:<9} {ran.beside:<18} {python:<7} {end}", flush=True)
            if ran.output:
                failed.append(entry)
                print(ran.output, flush=True)
    print(
        "FAILED:" if failed else "Every release passed.", *(f"{one.package} {one.release}" for one in failed)
    )
    counts = f"{passed} passed" + (f", {len(failed)} failed" if failed else "")
    print(f"{counts} in {time.monotonic() - began:.2f}s")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
