"""Hearing what other processes have written to a PostgreSQL journal: by LISTEN, and by looking at times."""

import json
import threading
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic
from typing import Final

import psycopg

from postlude.stores.postgres.connection import channel_of, connect, is_pooled, notify
from postlude.stores.postgres.sql import statements
from postlude.stores.postgres.transaction import Connection
from postlude.stores.signals import Listeners, Said

LOOK_AFTER: Final = 1.0
"""Seconds between attempts to listen again; at each, anything may have been written meanwhile."""

POLL_EVERY: Final = 0.25
"""Seconds between looks where nobody can listen: whether a job was added, or has become ready."""

SEEN_EVERY: Final = 5.0
"""Seconds after which all is looked at although nobody has told of anything: a message may be lost."""

_FLAGS: Final = ("anew", "waits", "asked", "paused", "schedules", "changed")


def written(said: Said, sender: int) -> str:
    """Write what a group has done as the text of a message; without what would make it too long.

    Args:
        said: what there is to tell.
        sender: the server's process of the connection that wrote it.
    """
    queues = sorted(said.queues)
    if sum(map(len, queues)) > 2000:
        queues, anew = [], True
    else:
        anew = said.anew
    flags = [name for name in _FLAGS if getattr(said, name)] + (["anew"] if anew and not said.anew else [])
    return json.dumps([sender, flags, queues, said.due], separators=(",", ":"))


def tell_others(db: Connection, schema: str, groups: Iterable[Said]) -> bool:
    """Tell who listens what groups have done; False: the connection is of no use any more."""
    texts = [written(said, db.info.backend_pid) for said in groups]
    return all(notify(db, channel_of(schema), text) for text in texts)


def read(text: str) -> tuple[int, Said]:
    """Read such a message: who has sent it, and what it tells; of one that is not understood, everything."""
    said = Said()
    try:
        sender, flags, queues, due = json.loads(text)
        said.queues.update(map(str, queues))
        said.due = None if due is None else int(due)
        for name in _FLAGS:
            setattr(said, name, name in flags)
        return int(sender), said
    except (ValueError, TypeError):
        return 0, unknown()


def unknown() -> Said:
    """Return what may have been written when nobody knows."""
    said = Said()
    for name in _FLAGS:
        setattr(said, name, True)
    return said


class Listener:
    """A thread that tells listeners what others have written, from when there are any.

    A process that only adds jobs has none. It would be woken by whatever the others add, for nothing.

    Args:
        url: where the journal is.
        schema: its schema.
        listeners: told of it.
        token: names the sessions of this process.
        listens: hears of it by LISTEN where no pooler is in the way.

    Attributes:
        own: the server's process of this process's writer: what that has written has been told here.
        hears: whether it has begun.
    """

    def __init__(
        self, url: str, schema: str, listeners: Listeners, token: str, *, listens: bool = True
    ) -> None:
        self._url = url
        self._token = token
        self._listens = listens
        self._channel = channel_of(schema)
        self._at = statements(schema)["at_turn"]
        self._listeners = listeners
        self.own = 0
        self.hears = threading.Event()
        self._stop = threading.Event()
        self._woken = threading.Event()
        """Somebody listens, or it is to end."""
        if listeners:
            self._woken.set()
        self._db: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="postlude-listener", daemon=True)
        self._thread.start()

    def know(self, sender: int) -> None:
        """What this process writes comes from this process of the server from now on."""
        self.own = sender

    def begin(self) -> None:
        """Somebody listens. From any thread."""
        self._woken.set()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._woken.set()
        if self._db is not None:
            self._db.close()
        self._thread.join(2 * SEEN_EVERY)

    def _run(self) -> None:
        self._woken.wait()
        while not self._stop.is_set():
            with suppress(psycopg.Error, OSError):
                self._listen()
            if not self._stop.wait(LOOK_AFTER):  # meanwhile nobody heard
                self._listeners.tell(unknown())

    def _listen(self) -> None:
        self._db = db = connect(self._url, f"postlude-listener {self._token}")
        with db:
            if is_pooled(db) or not self._listens:
                self._look(db)
                return
            db.execute(f"LISTEN {self._channel}")
            self._begun()
            while not self._stop.is_set():
                heard = False
                for message in db.notifies(timeout=SEEN_EVERY, stop_after=1):
                    heard = True
                    sender, said = read(message.payload)
                    if sender != self.own:
                        self._listeners.tell(said)
                if not heard and not self._stop.is_set():
                    self._listeners.tell(unknown())

    def _begun(self) -> None:
        """What is written from now on is heard; what was before may be anything."""
        self._listeners.tell(unknown())
        self.hears.set()

    def _look(self, db: Connection) -> None:
        """Look for what was written, again and again; at what leaves no such trace, less often."""
        seen = db.execute(self._at).fetchone()
        self._begun()
        told = due = monotonic()
        while True:
            due = max(due + POLL_EVERY, monotonic())  # from look to look, and not from a look's end
            if self._stop.wait(due - monotonic()):
                return
            now = db.execute(self._at).fetchone()
            if now != seen or monotonic() - told >= LOOK_AFTER:
                self._listeners.tell(unknown())
                told = monotonic()
            seen = now
