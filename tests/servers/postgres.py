"""A PostgreSQL of the tests' own, from the binaries that are installed, on a free port."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

INSTALL = "apt-get install --no-install-recommends postgresql"

HERE = {"listen_addresses": "127.0.0.1", "max_connections": "100", "unix_socket_directories": ""}

# What it would lose if the machine died is no loss.
THROWN_AWAY = {
    "fsync": "off",
    "synchronous_commit": "off",  # whoever needs more has to say so
    "full_page_writes": "off",
    # A journal that serves many tests has the same plans in each as one that was made for it.
    "autovacuum": "off",
}


def binaries() -> Path | None:
    """Return where the newest server's programs are."""
    known = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    found = [path.parent for path in known]
    if not found and (there := shutil.which("postgres")):
        found = [Path(there).resolve().parent]
    return found[-1] if found else None


class PostgresServer:
    """A server; starts when it is made.

    Args:
        settings: the server's, beside those that only say where it listens.

    Attributes:
        url: of its database.
    """

    def __init__(self, settings: Mapping[str, str] = THROWN_AWAY) -> None:
        programs = binaries()
        if programs is None:
            raise RuntimeError(f"no PostgreSQL here: {INSTALL}")
        self._programs = programs
        self._settings = HERE | dict(settings)
        self._folder = Path(tempfile.mkdtemp(prefix="postlude-postgres-"))
        # It refuses to run as root.
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user:
            os.chown(self._folder, pwd.getpwnam(self._user).pw_uid, -1)
        self._data = self._folder / "data"
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments], capture_output=True, user=self._user, cwd=self._folder
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.decode()}")

    def start(self) -> None:
        """Start it, and return when it answers."""
        settings = [f"-c{name}={value}" for name, value in self._settings.items()]
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", str(self._data), "-p", str(self.port), *settings],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user,
            cwd=self._folder,
        )
        until = time.monotonic() + 30
        while True:
            ready = subprocess.run(
                [self._programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            )
            if ready.returncode == 0:
                return
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("PostgreSQL did not start")
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        """The process that all others of the server come from."""
        assert self._process is not None
        return self._process.pid

    def stop(self, how: int = signal.SIGINT) -> None:
        """Stop it: by default it ends all connections; SIGQUIT ends it as a crash would."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def close(self) -> None:
        """Stop it, and remove what it has left."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
