"""Who runs jobs where no runner serves the event loop."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from postlude.model.job import Added
from postlude.runner.attempt.work import Work
from postlude.runner.runner import Runner
from postlude.stores.reply import Reply


class InlinePort(Protocol):
    """Who runs jobs where no runner serves the event loop; see `postlude.runner.inline.Inline`."""

    @property
    def runners(self) -> Sequence[Runner]:
        """Those that run jobs now."""
        ...

    async def runner(self) -> int | None:
        """Return the number under which committed jobs may be claimed at once; None: they are queued."""
        ...

    async def settle(self, works: Sequence[Work]) -> None:
        """Run committed works, and return when their first attempts have ended."""
        ...

    def let_go(self, works: Sequence[Work], reply: Reply[list[Added]]) -> None:
        """Release what was claimed for a call that has been cancelled meanwhile."""
        ...

    def look_in(self, opened: Callable[[], Awaitable[None]]) -> None:
        """Let run what waits in the journal, beside the request that runs here."""
        ...

    def close(self) -> None:
        """The journal is about to be closed."""
        ...
