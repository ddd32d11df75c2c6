"""Cells of the journal: what stands in them, also where the disk or another program has damaged them."""

from collections.abc import Sequence
from typing import Any, Final

from postlude.model.state import Reason, Stored

MOST_SHOWN: Final = 60
"""Characters of a damaged cell that are told."""


class Garbled(str):
    """A text of the journal that is no UTF-8; what is not is written out."""

    __slots__ = ()


def as_bytes(sql: str, columns: int) -> str:
    """Return a statement with the rows of another, each cell as its type and its value, texts as bytes.

    Without it one text that is no UTF-8 keeps all rows from being read.
    """
    names = [f"c{number}" for number in range(columns)]
    cells = [f"typeof({c}), CASE typeof({c}) WHEN 'text' THEN CAST({c} AS BLOB) ELSE {c} END" for c in names]
    return f"WITH found ({', '.join(names)}) AS ({sql}) SELECT {', '.join(cells)} FROM found"


def from_bytes(row: Sequence[Any]) -> tuple[Any, ...]:
    """Return a row of `as_bytes` as it would have been, with `Garbled` texts."""
    return tuple(
        _text(value) if kind == "text" else value for kind, value in zip(*[iter(row)] * 2, strict=True)
    )


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return Garbled(raw.decode("utf-8", "backslashreplace"))


def written(value: object) -> str:
    """Return what a damaged cell holds, for people."""
    if isinstance(value, bytes | memoryview):
        text = f"x'{bytes(value)[:MOST_SHOWN].hex()}'"
    else:
        text = str(value) if isinstance(value, Garbled) else repr(value)
    return f"{text[:MOST_SHOWN]}..." if len(text) > MOST_SHOWN else text


class Cells:
    """Takes the cells of one row for what they should be; `odd` says which were not."""

    __slots__ = ("odd",)

    def __init__(self) -> None:
        self.odd: list[str] = []

    def text(self, name: str, value: object) -> str:
        """Return a text; what is none, as people may read it."""
        if type(value) is str:
            return value
        self._note(name, value)
        return str(value) if isinstance(value, Garbled) else "" if value is None else written(value)

    def maybe_text(self, name: str, value: object) -> str | None:
        """Return a text, or None."""
        return None if value is None else self.text(name, value)

    def whole(self, name: str, value: object, default: int = 0) -> int:
        """Return a whole number."""
        if type(value) is int:
            return value
        self._note(name, value)
        return default

    def maybe_whole(self, name: str, value: object) -> int | None:
        """Return a whole number, or None."""
        if value is None or type(value) is int:
            return value
        self._note(name, value)
        return None

    def raw(self, name: str, value: object) -> bytes:
        """Return bytes."""
        if isinstance(value, bytes):
            return value
        if type(value) is str:
            return value.encode()
        self._note(name, value)
        return b""

    def id(self, name: str, value: object) -> bytes:
        """Return an id, of 16 bytes."""
        if isinstance(value, bytes) and len(value) == 16:
            return value
        self._note(name, value)
        return (value if isinstance(value, bytes) else str(value).encode("utf-8", "replace"))[:16].ljust(
            16, b"\0"
        )

    def stored(self, value: object) -> Stored:
        """Return a state; one that this release does not know is shown as parked."""
        if type(value) is int and value in _STATES:
            return Stored(value)
        self._note("state", value)
        return Stored.PARKED

    def reason(self, value: object) -> Reason | None:
        """Return a reason; None for one that this release does not know."""
        if value is None:
            return None
        if type(value) is str and value in _REASONS:
            return Reason(value)
        self._note("reason", value)
        return None

    @property
    def note(self) -> str | None:
        """Return what this release cannot read, in a sentence."""
        return f"this release cannot read all of its row: {'; '.join(self.odd)}" if self.odd else None

    def _note(self, name: str, value: object) -> None:
        self.odd.append(f"{name} is {written(value)}")


_STATES: Final = frozenset(int(stored) for stored in Stored)
_REASONS: Final = frozenset(reason.value for reason in Reason)


def queue_of(digits: str) -> str:
    """Return the name by which a queue is counted, whatever stands there: its bytes in hexadecimal digits."""
    return bytes.fromhex(digits).decode("utf-8", "replace")
