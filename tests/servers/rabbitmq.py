"""A RabbitMQ of the tests' own, from the program that is installed.

Its node has a name, a cookie, ports and an `epmd` of its own: no other node is met, and nothing stays behind.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.servers.redis import answers, free_port

INSTALL: Final = "apt-get install --no-install-recommends rabbitmq-server"

STARTS_WITHIN: Final = 90.0


def programs() -> Path | None:
    """Return where the newest server's programs are: Debian's wrappers would run them as another user."""
    found = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"))
    return found[-1] if found else None


class RabbitMQServer:
    """A server; starts when it is made.

    Args:
        settings: lines of its `rabbitmq.conf`, beside those that only say where it listens.

    Attributes:
        url: of it.
    """

    def __init__(self, *settings: str) -> None:
        found, epmd = programs(), shutil.which("epmd")
        if found is None or epmd is None:
            raise RuntimeError(f"no RabbitMQ here: {INSTALL}")
        self._programs = found
        self._folder = Path(tempfile.mkdtemp(prefix="postlude-rabbitmq-"))
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        ports = free_port(), free_port()
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.port}", "loopback_users.guest = true",
            "log.file.level = warning", "vm_memory_high_watermark.absolute = 512MiB",
            "disk_free_limit.absolute = 1MB", *settings,
        ]  # fmt: skip
        (self._folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (self._folder / "plugins").write_text("[].\n")
        cookie = self._folder / ".erlang.cookie"
        cookie.write_text(os.urandom(10).hex().upper())
        cookie.chmod(0o400)
        self._environment = {
            "PATH": os.environ.get("PATH", ""),
            "LANG": "C.UTF-8",
            "HOME": str(self._folder),
            "ERL_EPMD_PORT": str(ports[0]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"postlude{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(ports[1]),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_CONF_ENV_FILE": str(self._folder / "none"),
            # One scheduler: the machine is others' too. Its own epmd is there already.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -start_epmd false "
            # What a consumer has not acknowledged in time is looked for each second, not each minute.
            "-rabbit channel_tick_interval 1000",
        }
        self._names = subprocess.Popen(
            [epmd, "-port", str(ports[0]), "-address", "127.0.0.1"],
            env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        self._process = subprocess.Popen(
            [self._programs / "rabbitmq-server"],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=(self._folder / "said").open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,  # ended with all that it has started
        )
        until = time.monotonic() + STARTS_WITHIN
        while not answers(self.port):
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"RabbitMQ did not start: {(self._folder / 'said').read_text()[-2000:]}")
            time.sleep(0.1)

    def control(self, *words: str, timeout: float = 180) -> str:
        """Have it do something, by `rabbitmqctl`; returns what that says."""
        done = subprocess.run(
            [self._programs / "rabbitmqctl", "--quiet", *words],
            env=self._environment | {"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ""},
            capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {' '.join(words)}: {done.stderr or done.stdout}")
        return done.stdout

    def kill(self) -> None:
        """End it as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
            while answers(self.port):
                time.sleep(0.02)

    def signal(self, what: int) -> None:
        """Send a signal to all of its processes, as SIGSTOP, with which it answers nobody."""
        if self._process is not None:
            os.killpg(self._process.pid, what)

    def forget(self) -> None:
        """Remove all that it has kept: it starts empty. It must have ended."""
        shutil.rmtree(self._folder / "data", ignore_errors=True)

    def close(self) -> None:
        """End it, and remove what it has left."""
        self.kill()
        self._names.kill()
        self._names.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)
