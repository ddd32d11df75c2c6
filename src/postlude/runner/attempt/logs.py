"""What tasks log: records that say whose they are, and lines that are kept with the attempt.

While a keeper is started, every record has `job_id`, `task` and `attempt`, so that a format may
name them; outside of jobs they are "", "" and 0. Two of logging's own hooks are used, both undone
by `stop`: the record factory, and a handler on the root logger, which is put there when the first
record is made inside a job. Such a handler must not be noticed: `logging` prints warnings of
programs that have configured nothing only while it finds no handler at all.
"""

import contextlib
import logging
import re
import threading
import traceback
from collections.abc import Callable
from typing import Any, Final

from postlude.config import Config
from postlude.jobs.current import CURRENT, CurrentJob
from postlude.model.outcome import LogLine
from postlude.telemetry.startup_log import Unnoticed

LONGEST: Final = 2000
"""Characters that are kept of one message, its traceback included."""

_OWN: Final = "postlude"
_FIELDS: Final = frozenset({"job_id", "task", "attempt"})
_LOCK: Final = threading.RLock()
"""Held while logging's hooks are changed; keepers of several runners share them."""

_UNSAFE: Final = re.compile(
    # Terminal sequences; control characters but newlines; separators and overrides of direction;
    # surrogates, which UTF-8 cannot write.
    r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


class LogKeeper:
    """Marks the records of jobs, and keeps them. Each runner has one of its own.

    Args:
        keep: whether lines are kept with the attempts; records are marked in any case.
        level: records below it are not kept. Loggers' own levels are left as they are.
        max_lines: lines that are kept of one attempt; the first ones.
        max_chars: characters of their messages.
    """

    def __init__(
        self,
        *,
        keep: bool,
        level: int = logging.INFO,
        max_lines: int = 200,
        max_chars: int = 64 * 1024,
    ) -> None:
        self._tap = _Tap(level, max_lines, max_chars) if keep else None
        self._marker: _Marker | None = None

    def start(self) -> None:
        """Begin; does nothing if it has begun. From any thread."""
        with _LOCK:
            if self._marker is not None:
                return
            factory = logging.getLogRecordFactory()
            if not isinstance(factory, _Marker):
                factory = _Marker(factory)
                logging.setLogRecordFactory(factory)
            factory.users += 1
            if self._tap is not None:
                factory.taps = (*factory.taps, self._tap)
            self._marker = factory

    def stop(self) -> None:
        """Leave logging as it was; does nothing if it has not begun. From any thread."""
        with _LOCK:
            marker, self._marker = self._marker, None
            if marker is None:
                return
            marker.users -= 1
            if self._tap is not None:
                marker.taps = tuple(tap for tap in marker.taps if tap is not self._tap)
                logging.getLogger().removeHandler(self._tap)
            if not marker.users and logging.getLogRecordFactory() is marker:
                logging.setLogRecordFactory(marker.inner)


def log_keeper(config: Config) -> LogKeeper:
    """Return a keeper for one runner of an application."""
    return LogKeeper(keep=config.keep_logs, max_lines=config.max_log_lines, max_chars=config.max_log_chars)


def lines_of(current: CurrentJob) -> tuple[LogLine, ...]:
    """Return what an attempt has logged, as far as it is kept."""
    return tuple(current.lines or ())


class _Marker:
    """The record factory that was there; its records also say whose they are.

    Where another factory has been put around it, it cannot be taken away: without users it only
    passes on.
    """

    def __init__(self, inner: Callable[..., logging.LogRecord]) -> None:
        self.inner = inner
        self.users = 0
        self.taps: tuple[_Tap, ...] = ()

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self.inner(*args, **kwargs)
        if self.users:
            fields = _Fields(record.__dict__)
            current = CURRENT.get()
            if current is None:
                fields["job_id"], fields["task"], fields["attempt"] = "", "", 0
            else:
                fields["job_id"] = current.id
                fields["task"] = current.task
                fields["attempt"] = current.attempt
                if self.taps:
                    self._listen()
            record.__dict__ = fields
        return record

    def _listen(self) -> None:
        """Put a handler on the root logger, where none is: also after logging was configured anew."""
        root = logging.getLogger()
        if any(type(handler) is _Tap for handler in root.handlers):
            return
        with _LOCK:
            if self.taps and not any(type(handler) is _Tap for handler in root.handlers):
                root.addHandler(self.taps[0])


class _Fields(dict[str, Any]):
    """A record's attributes. Those of the job do not count as there already.

    `logger.info(..., extra={"task": ...})` raises where the record has such an attribute; programs
    that have logged so before keep what they say.
    """

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        return name not in _FIELDS and dict.__contains__(self, name)


class _Lines(list[LogLine]):
    """What an attempt has logged; when a cap is reached, a last line says how much is left out."""

    __slots__ = ("chars", "left_out")

    def __init__(self) -> None:
        self.chars = 0
        self.left_out = 0

    def leave_out(self, at: int) -> None:
        self.left_out += 1
        number = "1 more line is" if self.left_out == 1 else f"{self.left_out} more lines are"
        line = LogLine(at, logging.WARNING, _OWN, f"{number} left out")
        if self.left_out == 1:
            self.append(line)
        else:
            self[-1] = line


class _Tap(Unnoticed):
    """The handler that keeps lines. It takes every level, because it stands in for `lastResort`."""

    def __init__(self, least: int, max_lines: int, max_chars: int) -> None:
        super().__init__()
        self._least = least
        self._max_lines = max_lines
        self._max_chars = max_chars

    def handle(self, record: logging.LogRecord) -> bool:
        # Not under the handler's lock: formatting runs code of the application.
        current = CURRENT.get()
        if current is not None:
            with contextlib.suppress(Exception):  # a line is lost, and the task that logs goes on
                self._keep(current, record)
        if len(logging.getLogger().handlers) == 1 and _is_alone(record.name):
            last = logging.lastResort
            if last is not None and record.levelno >= last.level:
                last.handle(record)
        return True

    def _keep(self, current: CurrentJob, record: logging.LogRecord) -> None:
        name = record.name
        if record.levelno < self._least or name == _OWN or name.startswith(f"{_OWN}."):
            return
        at = round(record.created * 1_000_000)
        lines = current.lines
        message = "" if isinstance(lines, _Lines) and lines.left_out else _message(record)
        self.acquire()
        try:
            if not isinstance(lines := current.lines, _Lines):
                lines = current.lines = _Lines()
            if (
                lines.left_out
                or len(lines) >= self._max_lines
                or lines.chars + len(message) > self._max_chars
            ):
                lines.leave_out(at)
            else:
                lines.chars += len(message)
                lines.append(LogLine(at, record.levelno, _clean(name[:200]), message))
        finally:
            self.release()


def _is_alone(name: str) -> bool:
    """Whether no logger from this one up to the root, which has one, has a handler."""
    logger = logging.root.manager.loggerDict.get(name)
    while isinstance(logger, logging.Logger) and logger is not logging.root:
        if logger.handlers:
            return False
        logger = logger.parent
    return True


def _message(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception as error:
        raw = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        text = f"{raw} (its arguments do not fit: {type(error).__name__})"
    if record.exc_info and record.exc_info[1] is not None:
        # Not `Formatter.format`: it leaves its text in the record, where other formatters find it.
        text = f"{text}\n{_traceback(record.exc_info[1])}"
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]}\n... {len(text) - LONGEST} characters left out ...\n{text[-900:]}"
    return _clean(text)


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error)).rstrip()
    except Exception:
        return type(error).__name__


def _clean(text: str) -> str:
    return _UNSAFE.sub(lambda found: " " if found[0] == "\t" else "", text)
