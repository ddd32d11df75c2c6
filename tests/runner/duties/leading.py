"""A process that shares a journal, and notes in a file each time that it looks for dead runners.

`python -m tests.runner.duties.leading JOURNAL NOTES`
"""

import asyncio
import os
import sys
from typing import Any, cast

from postlude import Config, Postlude
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from postlude.stores.sqlite import SqliteStore


class Noting(SqliteStore):
    def __init__(self, journal: str, notes: str) -> None:
        super().__init__(journal)
        self._notes = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def reap(self) -> Reply[Any]:
        os.write(self._notes, b"%d\n" % os.getpid())
        return super().reap()


async def main(journal: str, notes: str) -> None:
    config = Config(tune_gc=False, poll_every=0.02, reap_every=0.02)
    postlude = Postlude(store=cast(Store, Noting(journal, notes)), config=config)
    await postlude.open()
    await postlude.start()
    sys.stdout.write("serves\n")
    sys.stdout.flush()
    await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
