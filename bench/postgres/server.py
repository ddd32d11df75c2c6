"""The server that is measured: as Debian's package sets it up, with room for its buffers and its log."""

import os
from pathlib import Path
from typing import Final

from tests.servers.postgres import PostgresServer

SETTINGS: Final = {"shared_buffers": "512MB", "max_wal_size": "4GB", "checkpoint_timeout": "15min"}
"""`fsync` and `synchronous_commit` are on, as they are by default. No checkpoint falls into one measurement
and not into the one that it is compared with."""


class MeasuredServer(PostgresServer):
    """A server whose use of processors can be asked for."""

    def __init__(self) -> None:
        super().__init__(SETTINGS)

    def cpu(self) -> float:
        """Return the seconds of processor that all of its processes have taken so far."""
        ticks = 0
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    fields = (folder / "stat").read_text("ascii").rpartition(")")[2].split()
                except OSError:  # it has just ended
                    continue
                if int(folder.name) == self.pid:
                    ticks += sum(map(int, fields[11:15]))  # with those of its processes that have ended
                elif int(fields[1]) == self.pid:
                    ticks += sum(map(int, fields[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")
