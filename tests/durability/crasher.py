"""Processes that add jobs and die at a failpoint: forks of one that has imported everything.

    python -m tests.durability.crasher FAULT:N ...

One child for each fault. The journal is opened after the fork, in the child.
"""

import os
import sys
from contextlib import suppress

from tests.durability.faults import arm
from tests.durability.served import ARENA, FOLDER, noop, postlude
from tests.durability.witness import Witness


def crash(fault: str, number: int) -> None:
    """Add jobs until the fault strikes."""
    arm([fault], ARENA["store"])
    witness = Witness(FOLDER)
    for count in range(1000):
        token = f"{fault}-{number}-{count}"
        witness.note("intent", token)
        postlude.blocking.add_task(noop, token)
        witness.note("acked", token)


def main(faults: list[str]) -> None:
    """Crash one child after another."""
    witness = Witness(FOLDER, "crasher")
    for number, fault in enumerate(faults):
        pid = os.fork()
        if pid == 0:
            with suppress(BaseException):
                crash(fault, number)
            os._exit(99)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status), f"{fault} did not strike: {status}"
        witness.note("kill", "-", pid)


if __name__ == "__main__":
    main(sys.argv[1:])
