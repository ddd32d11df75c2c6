"""Why jobs were refused, in one word."""

from typing import Final

from postlude.errors import JournalRefused, JournalUnavailable, KeyTaken, NotDurable

_WHY: Final[dict[type[BaseException], str]] = {
    JournalUnavailable: "unavailable",
    KeyTaken: "key_taken",
    NotDurable: "not_durable",
    JournalRefused: "journal_refused",
}

WHY: Final = (*_WHY.values(), "error")
"""All of these words."""


def why_refused(error: BaseException) -> str:
    """Return it: `unavailable` are those whose clients are told 503."""
    return next((why for kind, why in _WHY.items() if isinstance(error, kind)), "error")
