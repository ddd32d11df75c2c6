"""Saying something to whoever starts a server, also where nobody has configured logging."""

import logging
import sys
from typing import Final

from postlude.compat import GRANIAN_LOG
from postlude.telemetry.log import Log

own = logging.getLogger("postlude")
"""Where handlers are put; all else logs through `log`."""
log = Log(own.name)

SERVERS: Final = ("uvicorn.error", "gunicorn.error", "hypercorn.error", GRANIAN_LOG)
"""Loggers that servers show at INFO without being asked."""


class Unnoticed(logging.Handler):
    """A handler of this package's own: it is no sign that the program has configured logging."""


class LastHandler(Unnoticed):
    """Writes this package's lines to stderr, for as long as nobody else has a handler for them.

    Logging's own last resort would write the bare message. Whoever configures logging later is heard
    at once: each line is looked at anew.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(LikeUvicorn())

    def emit(self, record: logging.LogRecord) -> None:
        if _heard(record.name):
            return
        try:
            # Not kept: tests and servers exchange it.
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:
            self.handleError(record)


class LikeUvicorn(logging.Formatter):
    """The level where uvicorn has it; then when, and whose line it is."""

    def __init__(self) -> None:
        super().__init__(datefmt="%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return one line, before a traceback that may follow."""
        time = self.formatTime(record, self.datefmt)
        return f"{record.levelname + ':':<9} {time} {record.name}: {record.message}"


LAST: Final = LastHandler()


def be_heard() -> None:
    """Have this package's lines written, if nobody has configured logging."""
    if LAST not in own.handlers and not _heard(own.name):
        own.addHandler(LAST)


def speak_up() -> None:
    """Have also what is as it should be written, unless somebody has decided about that."""
    be_heard()
    if log.undecided and not log.shows(logging.INFO):
        own.setLevel(logging.INFO)


def _heard(name: str) -> bool:
    """Whether lines of a logger reach a handler that somebody has put there."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        if any(not isinstance(handler, Unnoticed) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def announce(message: str) -> None:
    """Log at INFO: on `postlude`, or, if that shows nothing, where the server shows its own lines.

    A level that was set on `postlude` itself is a decision, and is kept.
    """
    if log.undecided and not log.shows(logging.INFO):
        for name in SERVERS:
            server = Log(name)
            if server.shows(logging.INFO):
                if LAST in own.handlers and not _heard(own.name):
                    # Not made by the logger: the class and the factory are the application's.
                    LAST.handle(logging.LogRecord(own.name, logging.INFO, __file__, 0, message, (), None))
                else:
                    server.info("postlude: %s", message)
                return
    log.info("%s", message)


def count_of(number: int, one: str, many: str) -> str:
    """Return how many there are of something, in words that fit the number."""
    return f"{number} {one if number == 1 else many}"
