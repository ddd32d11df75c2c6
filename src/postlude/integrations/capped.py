"""Labels of metrics: so many values, and no more."""

from typing import Final

MOST_TASKS: Final = 200
"""Tasks that metrics tell apart in one process; those that come later are `OTHER` together."""

OTHER: Final = "other"


class Capped:
    """Values of a label. Each that it has let through once stays."""

    def __init__(self, most: int = MOST_TASKS) -> None:
        self._most = most
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        """Return it, or `OTHER`."""
        if value not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(value)
        return value
