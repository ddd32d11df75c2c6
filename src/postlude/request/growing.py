"""The background that a response has brought along: it may grow while it is sent, and while it runs."""

from typing import Any

from starlette.background import BackgroundTasks as StarletteBackgroundTasks

from postlude.request.listing import is_known


class Growing:
    """A list of background tasks of which some have been taken in.

    Args:
        background: the list; all that is in it now is taken in by whoever makes this.
    """

    __slots__ = ("_background", "_taken")

    def __init__(self, background: StarletteBackgroundTasks) -> None:
        self._background = background
        self._taken = len(background.tasks)

    def has_grown(self) -> bool:
        """Whether tasks have been added to it meanwhile."""
        return len(self._background.tasks) > self._taken

    def take(self) -> StarletteBackgroundTasks | None:
        """Return those; None if there are none."""
        if not self.has_grown():
            return None
        new = StarletteBackgroundTasks(self._background.tasks[self._taken :])
        self._taken += len(new.tasks)
        return new


def growing(background: Any) -> Growing | None:
    """Return what tells of a background how it grows; None for what is no list of tasks."""
    if isinstance(background, StarletteBackgroundTasks) and is_known(background):
        return Growing(background)
    return None
