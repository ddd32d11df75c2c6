"""A MariaDB of the tests' own, from the binaries that are installed, on a free port."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

INSTALL = "apt-get install --no-install-recommends mariadb-server-core"


def program() -> str | None:
    """Return the server's program."""
    return shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class MariaDBServer:
    """A server; starts when it is made.

    Attributes:
        url: of its database.
    """

    def __init__(self) -> None:
        server = program()
        if server is None:
            raise RuntimeError(f"no MariaDB here: {INSTALL}")
        self._folder = Path(tempfile.mkdtemp(prefix="postlude-mariadb-"))
        user = "nobody" if os.getuid() == 0 else None
        if user:
            os.chown(self._folder, pwd.getpwnam(user).pw_uid, -1)
        data = self._folder / "data"
        (data / "test").mkdir(parents=True)  # a database is a folder; tables of grants are not needed
        if user:
            for folder in (data, data / "test"):
                os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._process = subprocess.Popen(
            [
                server, "--no-defaults", f"--datadir={data}", f"--port={self.port}",
                f"--socket={self._folder}/socket", f"--pid-file={self._folder}/pid", "--skip-grant-tables",
                "--bind-address=127.0.0.1", "--skip-networking=0", "--innodb-flush-log-at-trx-commit=0",
            ],
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / "log").open("wb"),
            user=user,
            cwd=self._folder,
        )  # fmt: skip
        self.url = f"mysql://root@127.0.0.1:{self.port}/test"
        until = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"MariaDB did not start: {(self._folder / 'log').read_text()[-1000:]}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Stop it, and remove what it has left."""
        self._process.kill()
        self._process.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)
