"""What the measurements need of the machine: cores, memory, and what to call it."""

import contextlib
import os
import platform
import sys
from pathlib import Path


def pin(core: int) -> None:
    """Keep this process to one core, where there are several: server and load must not share one."""
    with contextlib.suppress(AttributeError, OSError):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > 1:
            os.sched_setaffinity(0, {cores[core % len(cores)]})


def resident() -> float:
    """Return how much memory this process holds, in MiB."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def description() -> dict[str, object]:
    """Say what the figures were measured on."""
    import fastapi
    import starlette
    import uvicorn

    return {
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
        "fastapi": fastapi.__version__,
        "starlette": starlette.__version__,
        "uvicorn": uvicorn.__version__,
        "load_average": os.getloadavg()[0],
    }
