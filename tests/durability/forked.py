"""A process that forks with an open journal; the child must not use it.

python -m tests.durability.forked
"""

import os
import sys

from postlude.errors import ForkedJournal
from tests.durability.served import noop, postlude


def main() -> None:
    """Print what the child was told, and add a job in the parent."""
    postlude.blocking.add_task(noop, "before")
    pid = os.fork()
    if pid == 0:
        try:
            postlude.blocking.add_task(noop, "in the child")
        except ForkedJournal as error:
            print(type(error).__name__, error)  # noqa: T201
            sys.stdout.flush()
            os._exit(7)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    postlude.blocking.add_task(noop, "after")
    print(os.waitstatus_to_exitcode(status))  # noqa: T201


if __name__ == "__main__":
    main()
