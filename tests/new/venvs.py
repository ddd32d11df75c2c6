"""Virtual environments with the wheel of this checkout in them, and all else from the tests' own."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]


def build(folder: Path) -> Path:
    """Build the wheel into a folder, and return it."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    return next(folder.glob("*.whl"))


def make(folder: Path, wheel: Path | None) -> Path:
    """Make an environment, with the wheel installed if there is one; returns the folder of its programs.

    What is pinned for the tests is seen through it, so that nothing is fetched. Its own packages come
    first, and a `.pth` below another is not read: the checkout itself is not to be seen.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin/python"
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "pinned.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    if wheel is not None:
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", "--no-deps", "--ignore-installed", str(wheel)],
            check=True,
            env=environment(),
        )
    return python.parent


def environment() -> dict[str, str]:
    """Return what a person's shell has: nothing of this checkout, nothing that pip could fetch."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    return kept | {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # as pip reads it: no isolation
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
