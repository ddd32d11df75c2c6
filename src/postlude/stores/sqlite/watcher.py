"""Hearing of what other processes commit: a thread that looks at the index of the WAL.

SQLite has no way to be told, and the kernel tells of the WAL's file before the commit in it can be seen. The
first bytes of the index are others after each commit. What a look costs is waking up for it, some 60 µs:
66 a second take 0.4 % of a core, and half as many half of that.
"""

import threading
from collections.abc import Callable
from typing import Final, NamedTuple

from postlude.stores.signals import Listeners, Said

LOOK_EVERY: Final = 0.015
"""Seconds between looks at the index, while others write."""

REST_EVERY: Final = 0.03
"""Seconds between them while nobody does. On average a job waits half of that for the look that sees it."""

REST_AFTER: Final = 20
"""Looks that see nothing, until they are fewer."""

LINGER: Final = 200
"""Looks after the last listener has gone, until the thread ends."""


class OthersCommits:
    """Tells the commits of others from those of this process's writer, which holds the lock between writers.

    Args:
        index: reads the head of the WAL's index.
    """

    def __init__(self, index: Callable[[], bytes]) -> None:
        self._index = index
        self._turns = threading.Lock()
        self._known = b""
        self._writing = False
        self._some = True

    def begin(self) -> None:
        """The writer has the lock: only it commits now."""
        with self._turns:
            self._some |= self._index() != self._known
            self._writing = True

    def end(self) -> None:
        """The writer is about to give the lock back."""
        with self._turns:
            self._known = self._index()
            self._writing = False

    def look(self) -> bool:
        """Say whether others have committed since this was last asked. From any thread."""
        with self._turns:
            if not self._writing:
                before, self._known = self._known, self._index()
                self._some |= before != self._known
            some, self._some = self._some, False
            return some


class Outlook(NamedTuple):
    """What a reader sees that somebody has to act on."""

    queues: list[str]
    """In which something is ready."""
    next_due: int | None
    asked: list[object]
    """Which runners are asked what."""
    paused: list[object]
    next_fire: int | None = None
    """When a schedule is due."""


class Watcher:
    """Tells listeners what others have written.

    Args:
        commits: notices that they have.
        look: reads what there is to act on; raises `PostludeError` if it cannot.
        listeners: told of it; without any, nothing is looked at.
    """

    def __init__(self, commits: OthersCommits, look: Callable[[], Outlook], listeners: Listeners) -> None:
        self._commits = commits
        self._look = look
        self._listeners = listeners
        self._turns = threading.Lock()
        self._thread: threading.Thread | None = None
        self._over = threading.Lock()
        self._over.acquire()
        self._before: Outlook | None = None

    def start(self) -> None:
        """Begin, unless it has: somebody listens."""
        with self._turns:
            if self._thread is None:
                self._commits.look()  # what has been written so far, the listener looks at by itself
                self._thread = threading.Thread(target=self._run, name="postlude-watcher", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End, before what it reads is closed."""
        with self._turns:
            thread = self._thread
        if thread is not None:
            self._over.release()
            thread.join()
            self._over.acquire()

    def _run(self) -> None:
        left, quiet = LINGER, 0
        # A lock that nobody gives back is the cheapest sleep that can be ended.
        while not self._over.acquire(timeout=LOOK_EVERY if quiet < REST_AFTER else REST_EVERY):
            if self._listeners:
                left, quiet = LINGER, quiet + 1
                if self._commits.look():
                    quiet = 0
                    self._tell()
            elif not (left := left - 1):
                with self._turns:
                    if not self._listeners:
                        self._thread = None
                        return
        with self._turns:
            self._thread = None
        self._over.release()

    def _tell(self) -> None:
        said, before = Said(), self._before
        said.changed = True
        try:
            self._before = now = self._look()
        except Exception:  # a row is damaged, or the journal is opened anew: those who hear find out
            said.anew = said.waits = said.asked = said.paused = said.schedules = True
        else:
            said.queues, said.due = set(now.queues), now.next_due
            said.waits = now.next_due is not None
            said.asked = bool(now.asked) and (before is None or now.asked != before.asked)
            said.paused = before is None or now.paused != before.paused
            last = None if before is None else before.next_fire
            said.schedules = now.next_fire is not None and (last is None or now.next_fire < last)
        self._listeners.tell(said)
