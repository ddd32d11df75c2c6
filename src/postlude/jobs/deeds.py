"""Deeds: who answers for what people do. The journal writes an audit line of each act, with it."""

import secrets
from collections.abc import Sequence
from typing import Final

from postlude.model.job import Cancel
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from postlude.stores.values import Deed

_LONGEST: Final = 1000
"""Characters that are kept of what was meant, and of who has done it."""


def deed(actor: str, act: str, meant: str) -> Deed:
    """Return what is done now.

    Args:
        actor: who does it: `cli:ada@host`.
        act: what: `retry`.
        meant: which jobs, or what else, in the words in which that was said.
    """
    return Deed(_kept(actor), act, _kept(meant), secrets.token_bytes(16))


def _kept(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "?")[:_LONGEST]


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
