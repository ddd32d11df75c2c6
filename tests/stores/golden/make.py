"""Makes the golden journals: python -m tests.stores.golden.make [sqlite|postgres]. See README.md beside it.

The source of each version is taken from the history of the repository; those that are there stay as they are.
"""

import gzip
import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.servers.postgres import PostgresServer, binaries

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[2]

COMMITS: Final = {
    "sqlite": {
        1: "119742e79f",
        2: "cdb9154396",
        3: "3580951d5b",
        4: "3a70f35ba7",
        5: "1880537b3d",
        6: "196b8f4ccc",
        7: "5baf6bf224",
    },
    "postgres": {
        1: "9a42c49c5f",
        2: "3a70f35ba7",
        3: "0ee24ec7ca",
        4: "1880537b3d",
        5: "9c892a8304",
        6: "196b8f4ccc",
        7: "5baf6bf224",
    },
}
"""The last commit that has a version of the schema, and the tables as it left them."""


def golden(kind: str, version: int) -> Path:
    """Return where a journal is kept."""
    return HERE / (f"v{version}.db.gz" if kind == "sqlite" else f"v{version}.sql.gz")


def run(source: Path, store: str, phase: str) -> None:
    """Run one phase with an older release."""
    environ = os.environ | {"GOLDEN_STORE": store, "PYTHONPATH": f"{source}/src:{HERE}"}
    if phase != "left":
        environ |= {"GOLDEN_LEFT": "1"} if phase == "killed" else {}
    subprocess.run(
        [sys.executable, str(HERE / "golden_shop.py"), phase], env=environ, check=True, timeout=120
    )


def fill(source: Path, store: str) -> None:
    """Let an older release live its life."""
    for phase in ("ended", "left", "killed", "waiting"):
        run(source, store, phase)


def keep(content: bytes, target: Path) -> None:
    """Write it compressed, the same for the same content."""
    target.write_bytes(gzip.compress(content, 9, mtime=0))


def sqlite(source: Path, folder: Path, target: Path) -> None:
    """Make a file, with its WAL folded."""
    path = folder / "journal.db"
    fill(source, f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    keep(path.read_bytes(), target)


def postgres(source: Path, folder: Path, target: Path) -> None:
    """Make the statements that write it."""
    server = PostgresServer()
    try:
        fill(source, server.url)
        dump = subprocess.run(
            [str(Path(str(binaries())) / "pg_dump"), "--no-owner", "--inserts", "-n", "postlude", server.url],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    finally:
        server.close()
    lines = [line for line in dump.splitlines() if line and not line.startswith(("--", "\\"))]
    keep("\n".join(lines).encode(), target)


def main() -> None:
    """Make those that are not there."""
    for kind in sys.argv[1:] or COMMITS:
        for version, commit in COMMITS[kind].items():
            target = golden(kind, version)
            if target.exists():
                continue
            with tempfile.TemporaryDirectory() as name:
                source, folder = Path(name) / "source", Path(name) / "journal"
                source.mkdir()
                folder.mkdir()
                tar = subprocess.run(
                    ["git", "archive", commit, "src"], cwd=ROOT, check=True, capture_output=True
                )
                subprocess.run(["tar", "-x", "-C", str(source)], input=tar.stdout, check=True)
                {"sqlite": sqlite, "postgres": postgres}[kind](source, folder, target)


if __name__ == "__main__":
    main()
