"""The command that shows a journal in the browser: `postlude dashboard`."""

import socket
import webbrowser
from typing import Annotated, Any, Final

import typer

from postlude.cli.answering import actor
from postlude.cli.exits import Usage, errors_in_one_line
from postlude.cli.journal import acting
from postlude.cli.options import StoreOption
from postlude.cli.panels import SET_UP
from postlude.stores.location import DEFAULT_LOCATION
from postlude.stores.protocol import Store

HOST: Final = "127.0.0.1"


def add_dashboard(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=SET_UP)(dashboard)


def dashboard(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: one that is free.")] = 0,
    read_only: Annotated[bool, typer.Option("--read-only", help="Only to look.")] = False,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    store: StoreOption = DEFAULT_LOCATION,
) -> None:
    """Show a journal in the browser, on this machine alone, until Ctrl-C.

    The address that is printed lets one browser in, once. The application need not run: what it alone knows
    (how many attempts a task has, whether changed arguments fit) is not shown.
    """
    with errors_in_one_line(), acting(store) as journal, _listening(port) as listening:
        serve(journal, listening, acts=not read_only, open_it=open_it)


def _listening(port: int) -> socket.socket:
    listening = socket.socket()
    try:
        listening.bind((HOST, port))
    except OSError as error:
        listening.close()
        raise Usage(f"--port {port}: {error.strerror}; --port 0 takes one that is free") from None
    return listening


def serve(journal: Store, listening: socket.socket, *, acts: bool, open_it: bool) -> None:
    """Serve it until the process is told to end.

    Args:
        journal: open.
        listening: where; bound.
        acts: one may act, and not only look.
        open_it: open it in the browser.

    Raises:
        Usage: something is not installed.
    """
    try:
        import uvicorn

        from postlude.dashboard.alone import TOKEN, OneTimeToken, StoreDesk
        from postlude.dashboard.app import Dashboard
        from postlude.dashboard.site import Look
        from postlude.dashboard.templating import check

        check()
    except ImportError as error:
        raise Usage(f"this needs more: pip install 'postlude[dashboard]' uvicorn ({error})") from None
    port = listening.getsockname()[1]
    ask = OneTimeToken(actor(), port, acts=acts)
    desk = StoreDesk(journal)
    app: Any = Dashboard(lambda: desk, ask, Look(journal.location.rpartition("/")[2] or "Postlude"))
    # A proxy's headers say nothing here: who comes through one is not let in.
    config = uvicorn.Config(app, log_level="warning", lifespan="off", proxy_headers=False)
    address = f"http://{HOST}:{port}/?{TOKEN}={ask.token}"
    typer.echo(f"{journal.location}\n{address}\nThis address works once, on this machine. Ctrl-C ends it.")
    if open_it:
        webbrowser.open(address)
    uvicorn.Server(config).run(sockets=[listening])
