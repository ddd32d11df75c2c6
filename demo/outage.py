"""The mail server's outage, which a button on the page begins."""

import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Outage:
    """How long the mail server refuses everything. A file, because it is another process than the shop."""

    file: Path
    """Its time of modification is the outage's end."""

    def begin(self, seconds: float) -> None:
        """Let the mail server refuse for so long from now on."""
        end = time.time() + seconds
        self.file.touch()
        os.utime(self.file, (end, end))

    def left(self) -> float:
        """Return for how many more seconds it refuses; 0 if it does not."""
        try:
            return max(0.0, self.file.stat().st_mtime - time.time())
        except FileNotFoundError:
            return 0.0
