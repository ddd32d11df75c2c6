"""A Redis of the tests' own, from the program that is installed, on a free port, in a folder of its own."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

INSTALL: Final = "apt-get install --no-install-recommends redis-server"


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def answers(port: int) -> bool:
    """Say whether somebody listens on a port."""
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


NOTHING_KEPT: Final = ("--save", "", "--appendonly", "no")


class RedisServer:
    """A server; starts when it is made.

    Args:
        settings: words of its command line, beside those that only say where it is. It keeps nothing on disk,
            unless they say otherwise; without any, what it keeps is its own default.

    Attributes:
        url: of it.
    """

    def __init__(self, settings: Sequence[str] = NOTHING_KEPT) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError(f"no Redis here: {INSTALL}")
        self._program = program
        self._settings = settings
        self._folder = Path(tempfile.mkdtemp(prefix="postlude-redis-"))
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._process = subprocess.Popen(
            [
                self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder),
                "--daemonize", "no", *self._settings,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + 30
        while not answers(self.port):
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("Redis did not start")
            time.sleep(0.02)

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Stop it; what it has not kept on disk is gone."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def signal(self, what: int) -> None:
        """Send it a signal, as SIGSTOP, with which it answers nobody."""
        if self._process is not None:
            self._process.send_signal(what)

    def command(self, *words: str) -> bytes:
        """Have it do something, in its own protocol; returns what it says."""
        text = f"*{len(words)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(text.encode())
            return connection.recv(65536)

    def close(self) -> None:
        """Stop it, and remove what it has left."""
        self.stop(signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)
