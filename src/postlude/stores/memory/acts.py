"""What people have done to a memory store, and who. The store holds its lock."""

from itertools import islice

from postlude.stores.audit import Numbers
from postlude.stores.values import AuditLine, Deed


class Acts:
    """The audit lines."""

    def __init__(self) -> None:
        self._lines: dict[bytes, AuditLine] = {}
        self._last = 0

    def note(self, by: Deed, at: int, numbers: Numbers) -> None:
        """Note what somebody has done; pieces of one act are one line."""
        line = self._lines.get(by.id)
        if line is None:
            self._last += 1
            line = AuditLine(self._last, at, by.actor, by.act, by.meant, 0, 0)
        done, not_done = line.done + numbers.done, line.not_done + numbers.not_done
        self._lines[by.id] = line._replace(done=done, not_done=not_done)

    def forget(self, before: int) -> None:
        """Forget what was done before then."""
        self._lines = {id: line for id, line in self._lines.items() if line.at >= before}

    def page(self, before: int | None, limit: int) -> list[AuditLine]:
        """Return lines, newest first; see `postlude.stores.looking.Looking.audit`."""
        lines = (one for one in reversed(self._lines.values()) if before is None or one.number < before)
        return list(islice(lines, limit))
