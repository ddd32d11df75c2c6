"""Build the package, and look at what it is for whoever installs it.

    python scripts/package.py             builds, in dist/: two builds are equal, and nothing is missing
    python scripts/package.py --extras    each extra by itself, in an environment of its own
    python scripts/package.py --oldest    the unit tests with the dependencies of requirements/oldest.txt

The last two install packages, by uv.
"""

import argparse
import filecmp
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from scripts.versions import as_pip  # noqa: E402

UV: Final = (sys.executable, "-m", "uv", "--quiet")
OLDEST: Final = ROOT / "requirements" / "oldest.txt"
NOT_WITH_OLDEST: Final = (
    "tests/app/test_tracing.py::test_fastapis_own_telemetry_sees_each_task",
    "tests/integrations/test_opentelemetry.py::test_a_first_attempt_is_in_the_trace_of_its_request",
    "tests/integrations/test_opentelemetry.py::test_each_task_of_a_request_has_its_spans",
)
"""They ask for a FastAPI with telemetry, which takes no OpenTelemetry as old as the oldest."""

LEFT_OUT: Final = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.db*")

PROOFS: Final = {
    "": "from postlude import Postlude; from starlette.applications import Starlette; Postlude(Starlette())",
    "fastapi": "from postlude import Postlude; from fastapi import FastAPI; Postlude(FastAPI())",
    "cli": "import sys; sys.argv[1:] = ['new', 'shop', '--dry-run']; from postlude.cli import main; main()",
    "opentelemetry": "import postlude.integrations.opentelemetry",
    "sentry": "import postlude.integrations.sentry",
    "postgres": "from postlude.stores.postgres import PostgresStore",
    "reload": "import watchfiles, postlude.worker.reloading",
    "dashboard": (
        "from postlude import Postlude; from starlette.applications import Starlette; "
        "Postlude(Starlette()).dashboard(auth='local')"
    ),
    "celery": (
        "from postlude import CeleryEngine; "
        "[CeleryEngine(url).app.connection().get_transport_cls() for url in ('redis://h/0', 'amqp://h//')]"
    ),
}
"""What each extra has to be enough for."""

TOOLS: Final = (
    "aiosqlite", "asyncpg", "check-jsonschema", "httpx", "httpx2", "hypothesis", "opentelemetry-sdk",
    "prometheus_client", "pytest", "pytest-timeout", "pytest-xdist", "python-multipart", "PyMySQL", "PyYAML",
    "sqlalchemy", "sqlmodel", "structlog", "trio", "uvicorn", "websockets", "aiosmtpd", "ruff",
    "playwright", "axe-playwright-python",
)  # fmt: skip
"""What the tests need beside the package and all of its extras."""


class Wrong(Exception):
    """Something is not as it has to be."""


def copied(folder: Path) -> Path:
    """Return a copy of the checkout, as it is committed or about to be: another place, other times."""
    made = folder / "postlude"
    shutil.copytree(ROOT, made, ignore=LEFT_OUT, copy_function=shutil.copy)
    shutil.copy(ROOT / ".gitignore", made)
    return made


def build(source: Path, target: Path) -> tuple[Path, Path]:
    """Build in a folder; returns the wheel and the source distribution."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(target)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    return next(target.glob("*.whl")), next(target.glob("*.tar.gz"))


def reproduced(folder: Path) -> tuple[Path, Path]:
    """Build twice, from two copies, and from the source distribution; returns what was built first.

    Raises:
        Wrong: they differ, or something is missing.
    """
    first = build(copied(folder / "one"), folder / "first")
    second = build(copied(folder / "two"), folder / "second")
    for one, other in zip(first, second, strict=True):
        if not filecmp.cmp(one, other, shallow=False):
            raise Wrong(f"two builds of {one.name} differ")
    with tarfile.open(first[1]) as packed:
        packed.extractall(folder / "unpacked", filter="data")
    third = build(next((folder / "unpacked").iterdir()), folder / "third")
    if not filecmp.cmp(first[0], third[0], shallow=False):
        raise Wrong("the source distribution builds another wheel than the checkout")
    if missing := absent(first[0]):
        raise Wrong(f"the wheel lacks {', '.join(missing)}")
    return first


def absent(wheel: Path) -> list[str]:
    """Return the files of the package that a wheel does not have."""
    with zipfile.ZipFile(wheel) as packed:
        there = set(packed.namelist())
    wanted = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src/postlude").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    return sorted(wanted - there)


def extras() -> list[str]:
    """Return the extras of pyproject.toml, and "" for none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return ["", *project["optional-dependencies"]]


def environment(folder: Path, *packages: str, options: Sequence[str] = ()) -> Path:
    """Make a virtual environment with packages in it; returns its Python.

    Raises:
        Wrong: they cannot be installed.
    """
    python = folder / "bin/python"
    for command in (
        [*UV, "venv", "--python", sys.executable, str(folder)],
        [*UV, "pip", "install", "--python", str(python), *options, *packages],
    ):
        done = subprocess.run(command, env=as_pip(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise Wrong(done.stderr)
    return python


def alone(wheel: Path, extra: str, folder: Path) -> str:
    """Install the wheel with one extra and nothing else, and use it; returns what is wrong."""
    wanted = f"postlude[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
    try:
        python = environment(folder, wanted)
    except Wrong as error:
        return str(error)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(python), "-c", PROOFS[extra]],
        cwd=folder, env={**kept, "POSTLUDE_STORE": "memory"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stderr if done.returncode else ""


def oldest(folder: Path) -> int:
    """Run the unit tests with the oldest dependencies; returns an exit code."""
    project = f"{ROOT}[{','.join(extras()[1:])}]"
    options = ("--constraint", str(OLDEST))
    python = environment(folder / "venv", "--editable", project, *TOOLS, options=options)
    left_out = [f"--deselect={test}" for test in NOT_WITH_OLDEST]
    return subprocess.call([str(python), "scripts/unit.py", *left_out], cwd=ROOT)


def main() -> int:
    """Do what is asked; 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--extras", action="store_true", help="install each extra by itself, and use it")
    parser.add_argument(
        "--oldest", action="store_true", help="run the unit tests with the oldest dependencies"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="postlude-package-") as name:
        folder = Path(name)
        if options.oldest:
            return oldest(folder)
        try:
            built = reproduced(folder)
        except Wrong as error:
            print(f"FAILED: {error}")
            return 1
        (ROOT / "dist").mkdir(exist_ok=True)
        for path in built:
            print(f"{shutil.copy(path, ROOT / 'dist')}: {path.stat().st_size:,} bytes, twice the same")
        failed = 0
        for extra in extras() if options.extras else []:
            wrong = alone(built[0], extra, folder / f"extra-{extra}")
            failed += bool(wrong)
            print(f"postlude[{extra}]: {wrong or 'enough'}", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
