"""An environment for each peer, made on first use below `build/peers`, which git ignores."""

import hashlib
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

from bench.peers.systems import System

ROOT: Final = Path(__file__).parents[2]
CACHE: Final = ROOT / "build" / "peers"


class NotInstalled(Exception):
    """A peer cannot be installed here."""


def programs(system: System) -> Path:
    """Return the folder of a system's programs; makes its environment first where there is none.

    Whoever starts threads asks for it before.

    Raises:
        NotInstalled: pip or uv could not; what it said.
    """
    return _made(system.environment) if system.environment else Path(sys.executable).parent


@cache
def _made(name: str) -> Path:
    pins = ROOT / "requirements" / "peers" / f"{name}.txt"
    mark = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()[:12]
    made = CACHE / f"{name}-{mark}"
    if not (made / "ready").exists():
        shutil.rmtree(made, ignore_errors=True)
        uv = str(Path(sys.executable).with_name("uv"))
        for command in (
            [uv, "venv", "--quiet", "--python", sys.executable, str(made)],
            [uv, "pip", "install", "--quiet", "--python", str(made / "bin" / "python"), "-r", str(pins)],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise NotInstalled((done.stderr or done.stdout).strip()[-300:])
        (made / "ready").touch()
    return made / "bin"


def versions(system: System) -> dict[str, str]:
    """Return the versions of a system's packages."""
    ask = "import importlib.metadata as m, sys; print(*[m.version(name) for name in sys.argv[1:]])"
    found = subprocess.run(
        [programs(system) / "python", "-c", ask, *system.packages], capture_output=True, text=True, check=True
    )
    return dict(zip(system.packages, found.stdout.split(), strict=True))
