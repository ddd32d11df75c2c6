"""Making system calls fail, or kill, by strace."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.durability.journal import eventually
from tests.durability.server import Server

STRACE: Final = shutil.which("strace")


def need_strace() -> str:
    """Return its path, or skip."""
    if STRACE is None:
        pytest.skip("strace is not installed")
    tried = subprocess.run([STRACE, "-o", "/dev/null", "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"strace may not trace here: {tried.stderr.decode().strip()}")
    return STRACE


@contextmanager
def failing(server: Server, call: str, error: str) -> Iterator[None]:
    """Let a system call of a running server fail on the journal's files."""
    tracer = subprocess.Popen(
        [
            need_strace(), "-f", "-qq", "-o", "/dev/null", "-p", str(server.pid),
            "-e", f"trace={call}", "-e", f"inject={call}:error={error}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        eventually(lambda: _traced(server.pid) or tracer.poll() is not None, "strace has attached")
        if tracer.poll() is not None:
            assert tracer.stderr is not None
            pytest.skip(f"strace cannot attach here: {tracer.stderr.read().decode().strip()}")
        yield
    finally:
        tracer.terminate()
        tracer.communicate()


def _traced(pid: int) -> bool:
    """Whether every thread of a process is traced."""
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    return all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks)
