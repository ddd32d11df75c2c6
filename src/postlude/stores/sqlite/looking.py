"""Looking into a SQLite journal that exists, for whoever only looks."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from postlude.errors import JournalUnavailable
from postlude.messages.quoting import cut
from postlude.stores.grouped.reading import Lookups, Reader
from postlude.stores.reply import Reply
from postlude.stores.sqlite.reader import JournalReader

T = TypeVar("T")

_LONGEST_PATH: Final = 1000
"""Characters of a path that are repeated."""


class SqliteReading(Lookups):
    """A journal that exists, opened to look at it, in one thread that may wait for the disk.

    Args:
        path: the database.

    Raises:
        JournalRefused: it is not a journal that this release can read.
        JournalUnavailable: no journal is there, or it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        shown = cut(str(path), _LONGEST_PATH)
        try:
            if path.is_dir():
                raise JournalUnavailable(f"{shown} is a directory; give the path of the journal in it")
            if not path.is_file():
                raise JournalUnavailable(
                    f"no journal at {shown}; give its path with --store or in POSTLUDE_STORE"
                )
        except OSError as error:
            raise JournalUnavailable(f"cannot look at {shown}: {error.strerror}") from error
        self._reader = JournalReader(path)

    @property
    def location(self) -> str:
        """The database's absolute path."""
        return str(self._reader.path)

    @property
    def current(self) -> bool:
        """Whether it has the form that this release writes."""
        return self._reader.current()

    def close(self) -> None:
        """Close it."""
        self._reader.close()

    def _look(self, look: Callable[[Reader], T]) -> Reply[T]:
        try:
            return Reply.of(look(self._reader))
        except JournalUnavailable as error:
            return Reply.failed(error)
