"""Whether the server that a request came by still takes connections.

One that is told to stop closes the sockets at which it does, and then waits for its open streams before
anything else tells the application: so streams look here, on uvicorn, gunicorn, hypercorn and granian alike.
"""

import os
import socket
import stat
from collections.abc import Iterator
from typing import Any, Final

from starlette.types import Scope

_FILES: Final = "/dev/fd"
"""A folder with the files that this process has open, by number."""


class ServerSockets:
    """The sockets of this process at which a server takes connections.

    Args:
        server: the server's address, as scopes have it; None: it is not known, so all of them are taken.
    """

    def __init__(self, server: Any) -> None:
        self._found = list(_listening(server))

    @property
    def known(self) -> bool:
        """Whether there were any: a server in another process, or a test's client, has none here."""
        return bool(self._found)

    @property
    def closed(self) -> bool:
        """Whether there were some, and none is open any more."""
        return self.known and not any(_is_open(number, inode) for number, inode in self._found)


_KNOWN: Final[dict[Any, ServerSockets]] = {}
"""By the server's address. Looking through all open files takes too long to do it for each stream."""


def sockets_of(scope: Scope) -> ServerSockets:
    """Return those of the server that a request has come by.

    Args:
        scope: the request's.
    """
    server = scope.get("server")
    address = None if server is None else tuple(server)
    known = _KNOWN.get(address)
    if known is None or not known.known or known.closed:
        found = ServerSockets(address)
        if known is None or found.known:
            known = _KNOWN[address] = found
    return known


def _listening(server: Any) -> Iterator[tuple[int, int]]:
    try:
        numbers = [int(name) for name in os.listdir(_FILES)]
    except OSError:  # no such system: then streams end with their jobs, their readers, or the process
        return
    for number in numbers:
        try:
            found = os.fstat(number)
            # Never a copy that is closed: another thread may open a database under this number meanwhile,
            # and to close a copy of that would drop its locks.
            one = socket.socket(fileno=number) if stat.S_ISSOCK(found.st_mode) else None
        except OSError:
            continue
        if one is None:
            continue
        try:
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and _is_at(one, server):
                yield number, found.st_ino
        except OSError:
            continue
        finally:
            one.detach()


def _is_at(one: socket.socket, server: Any) -> bool:
    if server is None:
        return True
    name = one.getsockname()
    if one.family in (socket.AF_INET, socket.AF_INET6):
        return str(name[1]) == str(server[1])  # some servers write the port as text
    return bool(name == server[0])


def _is_open(number: int, inode: int) -> bool:
    try:
        found = os.fstat(number)
    except OSError:
        return False
    return stat.S_ISSOCK(found.st_mode) and found.st_ino == inode
