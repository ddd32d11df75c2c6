"""Where a worker's processes die: a file says so, named for a job and a place; each is met once."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from tests.engines.celery.memory import join_and_starve

PLACES: Final = ("before", "claimed", "during", "ended", "written")
"""Before its claim; when that is committed; in its function; when that has ended; when its end is written."""

CHILD: Final = "child"
WORKER: Final = "worker"
"""Who is killed; or the path of a control group's processes, which the child enters to be starved in."""


class Deaths:
    """Those of one site.

    Args:
        folder: the site's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "deaths"
        self._folder.mkdir(exist_ok=True)

    def await_at(self, id: str, place: str, how: str) -> None:
        """Let the process that comes to a place with a job die there."""
        (self._folder / f"{id}.{place}").write_text(how)

    def left(self) -> list[str]:
        """Return those that nobody has met."""
        return [path.name for path in self._folder.iterdir()]

    def meet(self, id: str, place: str) -> None:
        """Die, if it is this one's turn."""
        with suppress(FileNotFoundError):
            path = self._folder / f"{id}.{place}"
            how = path.read_text()
            path.unlink()
            if how == WORKER:
                os.killpg(os.getpgrp(), signal.SIGKILL)
            elif how == CHILD:
                os.kill(os.getpid(), signal.SIGKILL)
            else:
                join_and_starve(how)

    def watch(self, store: Any) -> None:
        """Look on as jobs are claimed and ended in a journal."""
        claim, finish, ids = store.claim, store.finish, dict[int, str]()

        def claiming(*arguments: Any, **options: Any) -> Any:
            for id in options["ids"] or ():
                self.meet(str(UUID(bytes=id)), "before")
            reply = claim(*arguments, **options)
            reply.then(claimed)
            return reply

        def claimed(reply: Any) -> None:
            for one in reply.result().claims:
                ids[one.seq] = str(UUID(bytes=one.id))
                self.meet(ids[one.seq], "claimed")

        def finishing(finishes: Any) -> Any:
            ended = [ids[one.seq] for one in finishes]
            for id in ended:
                self.meet(id, "ended")
            reply = finish(finishes)
            reply.then(lambda reply: written(ended))
            return reply

        def written(ended: list[str]) -> None:
            for id in ended:
                self.meet(id, "written")

        store.claim, store.finish = claiming, finishing
