"""A PgBouncer of the tests' own before a PostgreSQL of theirs, in transaction mode, on a free port."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.servers.postgres import PostgresServer

INSTALL: Final = "apt-get install --no-install-recommends pgbouncer"

_SETTINGS: Final = """
[databases]
postgres = host=127.0.0.1 port={behind} dbname=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 8
max_client_conn = 200
"""


def program() -> str | None:
    """Return where it is."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


class PgBouncer:
    """A pooler; starts when it is made.

    Args:
        server: what it stands before.

    Attributes:
        url: of the server's database, through it.
    """

    def __init__(self, server: PostgresServer) -> None:
        found = program()
        if found is None:
            raise RuntimeError(f"no PgBouncer here: {INSTALL}")
        self._folder = Path(tempfile.mkdtemp(prefix="postlude-pgbouncer-"))
        # It refuses to run as root.
        user = "postgres" if os.getuid() == 0 else None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        (self._folder / "users").write_text('"postgres" ""\n')
        settings = self._folder / "pgbouncer.ini"
        settings.write_text(_SETTINGS.format(behind=server.port, port=port, folder=self._folder))
        if user:
            for path in (self._folder, *self._folder.iterdir()):
                os.chown(path, pwd.getpwnam(user).pw_uid, -1)
        self._process = subprocess.Popen(
            [found, str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=user
        )
        until = time.monotonic() + 30
        while True:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("PgBouncer did not start")
            time.sleep(0.02)

    def close(self) -> None:
        """Stop it, and remove what it has left."""
        self._process.terminate()
        self._process.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)
