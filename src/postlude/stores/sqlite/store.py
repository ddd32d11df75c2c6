"""The SQLite store: a file beside the application."""

from pathlib import Path

import apsw

from postlude.clock import Clock, SystemClock
from postlude.errors import JournalRefused, JournalUnavailable
from postlude.stores.grouped.store import GroupedStore
from postlude.stores.signals import Signals
from postlude.stores.sqlite.backend import SqliteBackend
from postlude.stores.sqlite.connection import check_library
from postlude.stores.sqlite.files import JournalFiles
from postlude.stores.sqlite.reader import JournalReader
from postlude.stores.sqlite.watcher import Watcher


class SqliteStore(GroupedStore):
    """The journal in a file beside the application.

    Args:
        path: the database file; made if it is missing.
        clock: the time; the machine's by default.
        application: whose journal it is; a warning tells when another one opens it.
    """

    def __init__(self, path: Path | str, *, clock: Clock | None = None, application: str = "") -> None:
        super().__init__()
        self._files = JournalFiles(Path(path), self.events)
        self._clock = clock or SystemClock()
        self.now = self._clock.now
        self._application = application
        self._watcher: Watcher | None = None
        self._watched: JournalReader | None = None

    @property
    def location(self) -> str:
        """The database's absolute path."""
        return str(self._files.database)

    def connect(self) -> tuple[SqliteBackend, JournalReader]:
        """Open, migrate and check the journal."""
        check_library()
        readers: list[JournalReader] = []
        backend = SqliteBackend(self._files, self._clock, readers, self._application, self._listeners)
        try:
            backend.open()
        except apsw.CorruptError as error:
            raise JournalRefused(f"the journal {self.location} is damaged: {error}") from error
        except (apsw.Error, OSError) as error:
            raise JournalUnavailable(f"cannot open the journal {self.location}: {error}") from error
        self._watched = JournalReader(self._files.database, self._clock)
        reader = JournalReader(self._files.database, self._clock)
        readers += self._watched, reader
        self._watcher = Watcher(backend.others, self._watched.outlook, self._listeners)
        if self._listeners:
            self._watcher.start()
        return backend, reader

    def close(self) -> None:
        """Write what was asked for and close."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()
        if self._watched is not None:
            self._watched.close()
            self._watched = None
        super().close()

    def listen(self, listener: Signals) -> None:
        """Tell it what has been written, here and in other processes."""
        super().listen(listener)
        if self._watcher is not None:
            self._watcher.start()
