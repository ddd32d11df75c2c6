"""Reading where a journal is from the text that a person wrote."""

import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from postlude.errors import JournalRefused
from postlude.messages.quoting import quoted

DEFAULT_LOCATION: Final = "sqlite:///postlude.db"
"""The journal that an application gets without saying anything."""

_ALLOWED: Final = (
    "sqlite:///relative/path.db, sqlite:////absolute/path.db, postgresql://user@host/database, memory, "
    "or off (FastAPI without durable jobs)"
)


_SQLITE: Final = "sqlite:///"


class StoreKind(StrEnum):
    """What kind of journal a location names."""

    OFF = "off"
    """None: the application behaves as without Postlude."""
    MEMORY = "memory"
    SQLITE = "sqlite"
    POSTGRES = "postgresql"


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """Where a journal is."""

    kind: StoreKind
    url: str = ""
    """What says where, in that kind's own form; empty where the kind says it all."""

    def __str__(self) -> str:
        return masked(self.url) if self.url else str(self.kind)

    @classmethod
    def of_path(cls, path: Path) -> "StoreLocation":
        """Return that of a SQLite journal at an absolute path."""
        return cls(StoreKind.SQLITE, f"{_SQLITE}{path}")

    @property
    def path(self) -> Path:
        """The absolute path of a SQLite journal; ask for it of no other."""
        assert self.kind is StoreKind.SQLITE, self.kind
        return Path(self.url.removeprefix(_SQLITE))


def parse_location(text: str) -> StoreLocation:
    """Read a store's location; a relative path is taken from the working directory.

    Args:
        text: `off`, `memory`, `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://...`.

    Raises:
        JournalRefused: it is none of these. The message says what is allowed, and shows no password.
    """
    stripped = text.strip()
    word = stripped.lower()
    if word in (StoreKind.OFF, StoreKind.MEMORY):
        return StoreLocation(StoreKind(word))
    scheme, slashes, rest = stripped.partition("://")
    scheme = scheme.lower()
    if slashes and scheme in ("postgres", "postgresql"):
        return StoreLocation(StoreKind.POSTGRES, f"postgresql://{rest}")
    if slashes and re.fullmatch(r"(postgres|postgresql)\+\w+", scheme):
        raise _refused(stripped, "no driver is named: write postgresql://")
    if not slashes and (os.sep in stripped or Path(stripped).suffix):
        raise _refused(stripped, f"a path is written sqlite:///{stripped}")
    if not slashes or scheme != StoreKind.SQLITE:
        raise _refused(stripped, "it names no store that is known")
    return StoreLocation.of_path(_sqlite_path(stripped, rest))


def masked(text: str) -> str:
    """Return a location as it may be shown: passwords and options hidden."""
    shown = re.sub(r"^([^:/]*://[^:/@]*):.*@", r"\1:***@", text, flags=re.DOTALL)
    return re.sub(r"\?.*", "?***", shown, flags=re.DOTALL)


def _sqlite_path(text: str, rest: str) -> Path:
    if not rest.startswith("/"):
        raise _refused(text, "a SQLite journal has no host, so its path comes after three slashes")
    path = rest[1:]
    if path == ":memory:":
        raise _refused(text, "the journal in memory is called `memory`")
    if "?" in path:
        raise _refused(text, "a SQLite journal takes no options")
    if not path or path.endswith("/") or "\0" in path:
        raise _refused(text, "it names no file")
    return Path(os.path.abspath(path))


def _refused(text: str, why: str) -> JournalRefused:
    return JournalRefused(f"store={quoted(masked(text))}: {why}. Allowed: {_ALLOWED}")
