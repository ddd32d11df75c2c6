"""Two processes on one SQLite journal: how soon one starts what the other adds, and what both cost at rest.

    python -m bench.between [--jobs 100] [--every 0.1] [--rest 20]

Process A adds jobs from sync code and runs none; process B is a runner with its lifespan. At rest, both are
uvicorn servers with their lifespans. CPU is what `/proc/PID/stat` says, of one core.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.load import quantile

APPLICATION = """
from fastapi import FastAPI
from postlude import Postlude
app = FastAPI()
postlude = Postlude(app, store="sqlite:///journal.db")
"""

TASKS = """
import time
from pathlib import Path
started = Path("started").open("a", buffering=1)
def job(added: float) -> None:
    started.write(f"{time.monotonic() - added}\\n")
"""

RUNNER = """
import asyncio, sys
import tasks
from postlude import Postlude
async def main():
    postlude = Postlude(store="sqlite:///journal.db", packages=["tasks"])
    await postlude.open()
    await postlude.start()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await postlude.drain()
    await postlude.close()
asyncio.run(main())
"""

ADDER = """
import sys, time
import tasks
from postlude import Postlude
postlude = Postlude(store="sqlite:///journal.db", packages=["tasks"])
jobs, every = int(sys.argv[1]), float(sys.argv[2])
for _ in range(jobs):
    time.sleep(every)
    postlude.blocking.add_task(tasks.job, time.monotonic())
"""


def main() -> None:
    """Measure both, and print them."""
    parser = argparse.ArgumentParser(prog="python -m bench.between", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--every", type=float, default=0.1, help="seconds between two jobs")
    parser.add_argument("--rest", type=float, default=20.0, help="seconds that the CPU at rest is measured")
    options = parser.parse_args()
    # On a disk, because a temporary directory may be in memory, where fsync costs nothing.
    folder = Path(tempfile.mkdtemp(prefix="between-", dir=Path(__file__).parent))
    try:
        (folder / "tasks.py").write_text(TASKS, "utf-8")
        (folder / "main.py").write_text(APPLICATION, "utf-8")
        delays = latencies(folder, options.jobs, options.every)
        p50, p99 = (quantile(sorted(delays), share) * 1000 for share in (0.5, 0.99))
        print(f"add to start between processes, {len(delays)} jobs: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
        for name, share in at_rest(folder, options.rest).items():
            print(f"at rest, {name}: {share:.2f} % of a core")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def latencies(folder: Path, jobs: int, every: float) -> list[float]:
    """Return the seconds from each call to the start of its job."""
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert runner.stdout is not None
    assert runner.stdout.readline() == "ready\n"
    subprocess.run([sys.executable, "-c", ADDER, str(jobs), str(every)], cwd=folder, check=True)
    time.sleep(1)
    runner.communicate("\n", timeout=30)
    return [float(line) for line in (folder / "started").read_text("utf-8").split()]


def at_rest(folder: Path, seconds: float) -> dict[str, float]:
    """Return what share of a core two servers take that nobody asks for anything, in percent."""
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port", "0", "--log-level", "warning"]
    servers = [subprocess.Popen(command, cwd=folder) for _ in "AB"]
    try:
        time.sleep(5)
        before = [_cpu(server.pid) for server in servers]
        time.sleep(seconds)
        used = [_cpu(server.pid) - was for server, was in zip(servers, before, strict=True)]
    finally:
        for server in servers:
            server.terminate()
            server.wait(30)
    return {name: 100 * cpu / seconds for name, cpu in zip(("A", "B"), used, strict=True)}


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
