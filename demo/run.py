"""The demo's supervisor (`make demo`): a mail server, and a shop that is restarted whenever it dies.

With the argument `postgres` (`make demo-postgres`) its journal is in a PostgreSQL server of its own, which is
gone in the end, and two workers run jobs beside the shop. With `celery` (`make demo-celery`) a worker of
Celery's imports orders, by a RabbitMQ of its own; with `celery redis` by a Redis.

PORT chooses the page's port (otherwise a free one), DEMO_DIR a directory to keep the journal in
(otherwise a temporary one), DEMO_PACE how many seconds a slow mail takes, DEMO_OUTAGE how many seconds
the mail server refuses at the press of a button.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
import webbrowser
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path

from demo.mail_server import mail_server
from demo.settings import Settings
from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer

ROOT = Path(__file__).parents[1]
RESTART_PAUSE = 1.0
"""Seconds, so that the page can show that the server is gone."""
TOO_SOON = 5.0
"""Seconds: a server that dies sooner than this after its start, several times in a row, will not recover."""
TRIES = 5
GRACE = 15.0
USUAL = {"DEMO_PACE": 0.2, "DEMO_OUTAGE": 60}


class PortTaken(Exception):
    """The page's port cannot be had."""


class NoServer(Exception):
    """There is no PostgreSQL, RabbitMQ or Redis that could be started."""


def main() -> int:
    """Run the demo until Ctrl-C."""
    with contextlib.ExitStack() as stack:
        directory = os.environ.get("DEMO_DIR") or stack.enter_context(
            tempfile.TemporaryDirectory(prefix="postlude-demo-", ignore_cleanup_errors=True)
        )
        Path(directory).mkdir(parents=True, exist_ok=True)
        if not os.environ.get("DEMO_DIR"):
            say("What it keeps is deleted when it stops; DEMO_DIR=folder keeps it.")
            stack.callback(say, f"Deleting {directory}: journal and mails; DEMO_DIR=folder keeps them.")
        try:
            store, broker = chosen_store(stack, sys.argv[1:]), chosen_broker(stack, sys.argv[1:])
            return asyncio.run(demo(Path(directory).resolve(), chosen_port(), store, broker))
        except (PortTaken, NoServer) as error:
            say(f"The demo cannot start: {error}")
            return 1


def chosen_store(stack: contextlib.ExitStack, arguments: Sequence[str]) -> str:
    """Return where the journal is to be, having started what it needs; empty: a file in the directory."""
    if list(arguments) != ["postgres"]:
        return ""
    try:
        server = PostgresServer()
    except RuntimeError as error:
        raise NoServer(str(error)) from error
    stack.callback(server.close)
    return server.url


def chosen_broker(stack: contextlib.ExitStack, arguments: Sequence[str]) -> str:
    """Return where the broker is, having started it; empty: there is to be none."""
    if list(arguments[:1]) != ["celery"]:
        return ""
    say("Starting a broker ...")
    try:
        server = RedisServer() if "redis" in arguments else RabbitMQServer()
    except RuntimeError as error:
        raise NoServer(str(error)) from error
    stack.callback(server.close)
    return server.url


async def demo(directory: Path, port: int, store: str = "", broker: str = "") -> int:
    """Start the mail server and keep the shop alive; returns the exit code."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with listen(port) as listening:
        async with mail_server(chosen(directory)) as smtp_port:
            settings = replace(chosen(directory), smtp_port=smtp_port, store=store, broker=broker)
            address = f"http://127.0.0.1:{listening.getsockname()[1]}/"
            say(f"The shop is open:  {address}")
            say(f"Its dashboard:     {address}background/")
            say(f"Mail server: 127.0.0.1:{smtp_port}")
            say(f"Journal: {store or directory / 'postlude.db'}")
            if broker:
                say(f"Broker: {broker}")
            say("Stop with Ctrl-C.")
            open_in_browser(f"{address}background/")
            async with workers(settings):
                return await keep_alive(listening, settings, stop)


def open_in_browser(address: str) -> None:
    """Open a page where somebody sits at a screen; it comes as soon as the server answers."""
    screen = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if screen and sys.stdout.isatty():
        webbrowser.open(address)


def chosen(directory: Path) -> Settings:
    """Return what whoever started the demo has chosen; any free port for the mail server."""
    pace, outage = (float(os.environ.get(name) or usual) for name, usual in USUAL.items())
    return Settings(directory, smtp_port=0, pace=pace, outage_seconds=outage)


def chosen_port() -> int:
    """Return the page's port; 0: any free one."""
    text = os.environ.get("PORT") or "0"
    if not text.isdecimal() or int(text) > 65_535:
        raise PortTaken(f"PORT={text} is no port; give a number up to 65535")
    return int(text)


def listen(port: int) -> socket.socket:
    """Open the page's port here: while the server is dead, clients wait instead of being refused."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        listening.close()
        raise PortTaken(f"port {port}: {error.strerror}; choose another with PORT=") from error
    listening.listen(128)
    return listening


async def keep_alive(listening: socket.socket, settings: Settings, stop: asyncio.Event) -> int:
    """Start the shop again whenever it dies, until told to stop."""
    early = 0
    while not stop.is_set():
        began = time.monotonic()
        server = await start(listening, settings)
        await first_of(server.wait(), stop.wait())
        if server.returncode is None:
            return await end(server)
        early = early + 1 if time.monotonic() - began < TOO_SOON else 0
        if server.returncode != -signal.SIGKILL and early >= TRIES:
            say(f"The server ended {early} times right after its start. Giving up.")
            return 1
        say(f"The server is gone ({describe(server.returncode)}). Restarting it ...")
        await first_of(asyncio.sleep(RESTART_PAUSE), stop.wait())
    return 0


async def start(listening: socket.socket, settings: Settings) -> asyncio.subprocess.Process:
    """Start the shop's process."""
    server = await run("demo.server", str(listening.fileno()), settings=settings, fds=[listening.fileno()])
    say(f"The server is process {server.pid}.")
    return server


@contextlib.asynccontextmanager
async def workers(settings: Settings) -> AsyncIterator[None]:
    """Have two workers beside the shop, if its journal is one that they can share with it over a network; or
    one of Celery's, if there is a broker."""
    if settings.broker:
        words = "celery", "worker", "demo.shop:postlude", "--concurrency", "2"
        parent = await run("demo.worker", *words, settings=settings)
        say(f"A worker of Celery's imports orders, in two processes; their parent is process {parent.pid}.")
    elif settings.store:
        parent = await run(
            "demo.worker", "worker", "demo.shop:postlude", "--processes", "2", settings=settings
        )
        say(f"Two workers run jobs beside it; their parent is process {parent.pid}.")
    else:
        yield
        return
    try:
        yield
    finally:
        if parent.returncode is None:
            await end(parent)


async def run(
    module: str, *arguments: str, settings: Settings, fds: Sequence[int] = ()
) -> asyncio.subprocess.Process:
    """Start a process in the working directory, where it finds its journal without being told."""
    search = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        pass_fds=fds,
        cwd=settings.directory,
        env=os.environ | settings.environment() | {"PYTHONPATH": os.pathsep.join(search)},
        start_new_session=True,  # Ctrl-C is for the supervisor, which stops them in order
    )


async def end(server: asyncio.subprocess.Process) -> int:
    """Stop a process, by force if it takes too long."""
    say("Stopping ...")
    server.terminate()
    try:
        await asyncio.wait_for(server.wait(), GRACE)
    except TimeoutError:
        server.kill()
        await server.wait()
    return 0


async def first_of(*waits: Coroutine[object, object, object]) -> None:
    """Return when one of these has happened; the others are given up."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def describe(code: int) -> str:
    """Say how a process ended."""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def say(line: str) -> None:
    """Tell whoever watches, at once."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
