"""Which queues: these only, or all but these."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Final


@dataclass(frozen=True, slots=True)
class Queues:
    """A set of queues, also of such that nobody has named yet."""

    names: frozenset[str] = frozenset()
    but: bool = False
    """All but these."""

    def __contains__(self, queue: str) -> bool:
        return (queue in self.names) is not self.but

    @property
    def every(self) -> bool:
        """Whether no queue is left out."""
        return self.but and not self.names

    def text(self) -> str | None:
        """Return it as a store keeps it; None: every queue."""
        if self.every:
            return None
        return json.dumps({"but" if self.but else "only": sorted(self.names)}, separators=(",", ":"))


ALL: Final = Queues(but=True)
NONE: Final = Queues()


def only(names: Collection[str]) -> Queues:
    """Return these queues and no others."""
    return Queues(frozenset(names))


def all_but(names: Collection[str]) -> Queues:
    """Return all queues without these."""
    return Queues(frozenset(names), but=True)


@lru_cache(maxsize=64)
def read_queues(text: str | None) -> Queues:
    """Return what `Queues.text` has written; no queue, if a later release has written it otherwise."""
    if text is None:
        return ALL
    try:
        found = json.loads(text)
        ((kind, names),) = found.items()
        if kind in ("only", "but") and all(isinstance(name, str) for name in names):
            return Queues(frozenset(names), but=kind == "but")
    except (ValueError, TypeError, AttributeError):
        pass
    return NONE
