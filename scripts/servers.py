"""Makes sure that the servers are here which tests start for themselves, and a clock to shift for one.

    python scripts/servers.py

Installs Debian's packages where that is possible, and says else what to install.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = ("postgresql", "pgbouncer", "libfaketime", "rabbitmq-server", "redis-server")


def is_here(package: str) -> bool:
    """Say whether what is wanted of a package is installed."""
    if package == "libfaketime":
        return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None) is not None
    if package == "pgbouncer":
        return (shutil.which(package) or shutil.which(package, path="/usr/sbin")) is not None
    if package == "redis-server":
        return shutil.which(package) is not None
    if package == "rabbitmq-server":
        return next(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"), None) is not None
    assert package == "postgresql", package
    known = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    return next(known, None) is not None or shutil.which("postgres") is not None


def main() -> int:
    """Install what is missing; returns an exit code."""
    missing = [package for package in PACKAGES if not is_here(package)]
    if not missing:
        return 0
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if os.getuid() == 0 and shutil.which("apt-get"):
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update"], install):
            subprocess.run(command, env=quiet, stdout=subprocess.DEVNULL)
        missing = [package for package in PACKAGES if not is_here(package)]
    if missing:
        print(
            f"tests start servers of their own; install what they need: {' '.join(install)}", file=sys.stderr
        )
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
