"""What runs in a peer's environment, beside the peer's own worker.

    python -m bench.peers.child web MODULE FD CORE
    python -m bench.peers.child prepare MODULE
    python -m bench.peers.child fill MODULE COUNT
    python -m bench.peers.child work MODULE
    python -m bench.peers.child left MODULE

MODULE is one of `bench.peers.apps`. `left` prints a number.
"""

import importlib
import os
import socket
import sys
import threading

import uvicorn

from bench.machine import pin


def main() -> None:
    """Do what the command line asks for."""
    verb, module, *rest = sys.argv[1:]
    app = importlib.import_module(f"bench.peers.apps.{module}")
    if verb == "web":
        _serve(app.application(), int(rest[0]), int(rest[1]))
    elif verb == "fill":
        app.fill(int(rest[0]))
    elif verb in ("prepare", "work"):
        getattr(app, verb)()
    elif verb == "left":
        print(app.left())
    else:
        raise SystemExit(__doc__)


def _serve(application: object, fd: int, core: int) -> None:
    if core >= 0:
        pin(core)
    config = uvicorn.Config(application, loop="asyncio", http="h11", access_log=False, log_level="error")  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    threading.Thread(target=_end_with_parent, args=[server], daemon=True).start()
    server.run(sockets=[socket.socket(fileno=fd)])


def _end_with_parent(server: uvicorn.Server) -> None:
    os.read(0, 1)
    server.should_exit = True


if __name__ == "__main__":
    main()
