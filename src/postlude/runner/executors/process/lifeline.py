"""How a process of the pool, and what its job has started, ends at once when its parent is killed (Linux).

The system ends a process with its parent (PDEATHSIG), but not the programs that it has started. So while
a job runs, it is asked for something else: a pipe that the parent alone holds open gives SIGKILL to the
whole group when it breaks. Not both: the process would be dead, and its end of the pipe closed, before
the pipe breaks. Elsewhere a thread of the process notices, when it gets its turn.
"""

import ctypes
import fcntl
import os
import signal
import sys
from contextlib import suppress
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_F_SETSIG: Final = 10

_HELD: Final[set[int]] = set()
"""The ends that this process holds: of the process, as file descriptors are."""


def cast() -> tuple[int, int]:
    """Return the end of a line for a child, and the end that is held by this process until `let_go`.

    Raises:
        OSError: too many files are open.
    """
    theirs, ours = os.pipe()
    _HELD.add(ours)
    return theirs, ours


def let_go(ours: int) -> None:
    """Give up this process's end."""
    _HELD.discard(ours)
    os.close(ours)


def _forked() -> None:
    """Hold nothing in a fork of this process: it may outlive it, and nobody would notice the death."""
    while _HELD:
        os.close(_HELD.pop())


os.register_at_fork(after_in_child=_forked)


class Lifeline:
    """The child's end of a line. For its main thread.

    Args:
        fd: the end.
        parent: its process id.
        group: whether the group is the child's own.
    """

    def __init__(self, fd: int, parent: int, *, group: bool) -> None:
        self._fd = fd
        self._parent = parent
        os.set_inheritable(fd, False)
        self._group = group and _signals_group(fd)
        self.alone()

    def alone(self) -> None:
        """No job runs: this process ends with its parent, and what ended jobs have left may stay."""
        _end_with_parent(signal.SIGKILL)
        if os.getppid() != self._parent:
            os._exit(0)
        if self._group:
            self._set(0)

    def all_together(self) -> None:
        """A job begins: what it starts ends with the parent, too."""
        if self._group:
            self._set(os.O_ASYNC)
            _end_with_parent(0)

    def _set(self, flag: int) -> None:
        with suppress(OSError):  # a job has closed it
            flags = fcntl.fcntl(self._fd, fcntl.F_GETFL) & ~os.O_ASYNC
            fcntl.fcntl(self._fd, fcntl.F_SETFL, flags | flag)


def _signals_group(fd: int) -> bool:
    """Let a file signal the group as soon as it has news; False if this system cannot."""
    if sys.platform != "linux":
        return False
    try:
        fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(fd, _F_SETSIG, signal.SIGKILL)
    except OSError:
        return False
    return True


def _end_with_parent(number: int) -> None:
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
