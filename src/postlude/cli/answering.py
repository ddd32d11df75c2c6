"""Who answers for what the command line does: an audit line of each act, which the journal writes with it."""

import getpass
import secrets
import socket
from collections.abc import Sequence
from typing import Final

from postlude.model.job import Cancel
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from postlude.stores.values import Deed

_LONGEST: Final = 1000
"""Characters that are kept of what was meant."""


def deed(act: str, meant: str) -> Deed:
    """Return what is done now, by whoever has typed it.

    Args:
        act: the command.
        meant: which jobs, or what else, in the words in which that was typed.
    """
    text = meant.encode("utf-8", "replace").decode().replace("\0", "?")[:_LONGEST]
    return Deed(f"cli:{_user()}@{socket.gethostname()}", act, text, secrets.token_bytes(16))


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # in a container, users may have no names
        return "?"


class Answered:
    """The verbs of a journal that acts ask, with one audit line of all that is asked.

    Args:
        store: the journal.
        by: who does what.
    """

    def __init__(self, store: Store, by: Deed) -> None:
        self._store = store
        self._by = by

    def cancel(self, ids: Sequence[bytes]) -> Reply[list[Cancel]]:
        """Cancel jobs."""
        return self._store.cancel(ids, by=self._by)

    def retry(self, ids: Sequence[bytes]) -> Reply[list[bool]]:
        """Run jobs again."""
        return self._store.retry(ids, by=self._by)

    def delete(self, ids: Sequence[bytes]) -> Reply[list[bool]]:
        """Delete jobs."""
        return self._store.delete(ids, by=self._by)
