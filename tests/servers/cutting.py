"""A way to PostgreSQL that is cut between two messages."""

import socket
import struct
import threading
from contextlib import suppress
from enum import Enum, auto
from typing import Final

_HEAD: Final = 5
_STARTUP: Final = 4


class Cut(Enum):
    """What the server gets of the message at which it is cut."""

    BEFORE = auto()
    """Nothing."""
    AFTER = auto()
    """All of it; its answer reaches nobody."""


class CuttingProxy:
    """Passes on what clients and the server say, on a port of its own, until it is to cut a connection.

    Args:
        port: the server's, on this machine.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._lock = threading.Lock()
        self._left: int | None = None
        self._how = Cut.BEFORE
        self._said = b""
        self.was_cut = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_at(self, message: int, how: Cut) -> None:
        """Cut the connection whose client sends the so manyth message from now on, of all."""
        with self._lock:
            self._left, self._how = message, how
        self.was_cut.clear()

    def disarm(self) -> None:
        """Cut nothing."""
        with self._lock:
            self._left = None

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._answers, args=[server, client], daemon=True).start()
                threading.Thread(target=self._asks, args=[client, server], daemon=True).start()

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
        _end(client, server)

    def _asks(self, client: socket.socket, server: socket.socket) -> None:
        head = _STARTUP  # the first message has no letter
        data = b""
        with suppress(OSError):
            while more := client.recv(65536):
                data += more
                passed = 0
                while len(data) - passed >= head:
                    (length,) = struct.unpack_from("!i", data, passed + head - 4)
                    end = passed + head - 4 + length
                    if len(data) < end:
                        break
                    if self._is_the_one():
                        self.was_cut.set()  # first: who is cut off may look at once
                        if self._how is Cut.AFTER:
                            server.sendall(data[:end])
                            client.shutdown(socket.SHUT_RDWR)  # first, so that no answer is passed on
                            server.shutdown(socket.SHUT_WR)
                        else:
                            server.sendall(data[:passed])
                        _end(client, server)
                        return
                    passed, head = end, _HEAD
                server.sendall(data[:passed])
                data = data[passed:]
        _end(client, server)

    def _is_the_one(self) -> bool:
        with self._lock:
            if self._left is None:
                return False
            self._left -= 1
            if self._left == 0:
                self._left = None
                return True
            return False


def _end(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
