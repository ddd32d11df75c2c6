"""What the package logs, through the application's handlers, filters and record factory.

Those are code of others: a filter that reads a context variable without a default, a handler whose
server is down. What they raise must not reach the code that logs, or it would stay where it is: an
end would not be written, a duty not go on.
"""

import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, Final

ExcInfo = bool | BaseException | tuple[type[BaseException], BaseException, Any]

_LISTENING: Final = __name__.rpartition(".")[0]
"""The package of those who word what others tell: a record says where that was, not where it was worded."""

_TOLD: Final[set[str]] = set()
"""The loggers of which a failure has been told: of the process, as they are."""


class Log:
    """A logger that raises nothing, whatever its handlers do.

    The first failure of each logger is told on stderr, unless `logging.raiseExceptions` is false. Also
    `SystemExit` and `KeyboardInterrupt` go no further: they were raised in a handler.

    Args:
        name: the logger's.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    @property
    def undecided(self) -> bool:
        """Whether nobody has set a level on this very logger."""
        return self._logger.level == logging.NOTSET

    def shows(self, level: int) -> bool:
        """Whether somebody hears what is logged at a level."""
        return self._logger.isEnabledFor(level) and self._logger.hasHandlers()

    def debug(self, message: str, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log what helps to understand the package itself."""
        self._log(logging.DEBUG, message, args, extra=extra)

    def info(self, message: str, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log what is as it should be."""
        self._log(logging.INFO, message, args, extra=extra)

    def warning(
        self,
        message: str,
        *args: object,
        exc_info: ExcInfo | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        """Log what somebody should look at."""
        self._log(logging.WARNING, message, args, exc_info, extra)

    def error(
        self,
        message: str,
        *args: object,
        exc_info: ExcInfo | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        """Log what has gone wrong."""
        self._log(logging.ERROR, message, args, exc_info, extra)

    def critical(self, message: str, *args: object) -> None:
        """Log what ends the process."""
        self._log(logging.CRITICAL, message, args)

    def _log(
        self,
        level: int,
        message: str,
        args: tuple[object, ...],
        exc_info: ExcInfo | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        try:
            if self._logger.isEnabledFor(level):
                self._logger.log(
                    level, message, *args, exc_info=exc_info, extra=extra, stacklevel=_frames_to_teller()
                )
        except BaseException as error:
            if self._logger.name not in _TOLD and logging.raiseExceptions:
                _TOLD.add(self._logger.name)
                _tell(message, args, error)


def _frames_to_teller() -> int:
    """Return how many frames there are from the call of `Logger.log` to what has happened."""
    frame: FrameType | None = sys._getframe(1)
    frames = 1
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_LISTENING):
        frame = frame.f_back
        frames += 1
    return frames


def _tell(message: str, args: tuple[object, ...], error: BaseException) -> None:
    """Say on stderr what was to be logged, and why it was not. Either may fail to say what it is."""
    lines = []
    texts: tuple[Callable[[], str], ...] = (
        lambda: message % args,
        lambda: "".join(traceback.format_exception(error)),
    )
    for text in texts:
        try:
            lines.append(text())
        except BaseException as worse:
            lines.append(f"(this cannot be said: {type(worse).__name__})")
    said, why = lines
    try:
        sys.stderr.write(
            f"postlude: a handler or a filter of the application's logging has failed (this is said once); "
            f"what was to be logged:\n{said}\n{why}\n"
        )
    except BaseException:  # stderr is the application's too, or there is none
        return
