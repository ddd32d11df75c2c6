"""Who answers for what the command line does."""

import getpass
import socket

from postlude.jobs import deeds
from postlude.stores.values import Deed


def deed(act: str, meant: str) -> Deed:
    """Return what is done now, by whoever has typed it.

    Args:
        act: the command.
        meant: which jobs, or what else, in the words in which that was typed.
    """
    return deeds.deed(actor(), act, meant)


def actor() -> str:
    """Return who has typed it."""
    return f"cli:{_user()}@{socket.gethostname()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # in a container, users may have no names
        return "?"
