"""What was last open at a journal's place, noted beside the runners' marks.

An emptied file, a copy, or a backup that was put back is noticed by what does not fit it.
"""

import json
import os
from pathlib import Path
from typing import Final, NamedTuple

NAME: Final = "journal"
"""The file's; no runner's token is a name like it."""


class Note(NamedTuple):
    """Which journal it was, and how often it had been opened."""

    epoch: str
    opened: int

    @classmethod
    def read(cls, folder: Path) -> "Note | None":
        """Return what was last open here; None: nothing, or it cannot be read."""
        try:
            epoch, opened = json.loads((folder / NAME).read_text("utf-8"))
        except (OSError, ValueError, TypeError):
            return None
        return cls(str(epoch), opened) if isinstance(opened, int) else None

    def write(self, folder: Path) -> None:
        """Note it for the next process."""
        draft = folder / f"{NAME}.{os.getpid()}"
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            json.dump(self, file)
        draft.replace(folder / NAME)

    @staticmethod
    def forget(folder: Path) -> bool:
        """Remove it, where a new journal begins; returns whether there was one."""
        try:
            (folder / NAME).unlink()
        except OSError:
            return False
        return True
