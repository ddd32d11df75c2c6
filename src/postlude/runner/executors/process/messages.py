"""What the parent and its processes say to each other: JSON, and values as raw bytes.

Nothing in a message is code, and nothing is pickled: what comes from the journal is decoded by the
task's own codec, in the process that runs it.

    parent to child                     child to parent
    boot                                ready
    job, then the payload               taken
                                        progress, any number of times
    stop                                ended, then the result if there is one
    leave
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from postlude.errors import Discard, RetryLater, Snooze
from postlude.model.outcome import SUCCEEDED, LogLine, Succeeded
from postlude.model.wait import Wait
from postlude.runner.executors.process.failures import ChildFailed


class Caps(NamedTuple):
    """How much is kept of what a job says."""

    error: int = 16 * 1024
    """Characters of an error's traceback."""
    lines: int = 200
    """Lines of what it logs; 0: none is kept."""
    chars: int = 64 * 1024
    """Characters of them."""


class Hello(NamedTuple):
    """What a process is told before its first job."""

    argv: list[str]
    levels: dict[str, int]
    """The levels of the parent's loggers that have one; "" is the root."""
    module: str | None
    """What its first job needs: imported before the process says that it is ready."""
    caps: Caps


class RunJob(NamedTuple):
    """A job, as a process is told of it; the payload follows."""

    number: int
    """By which the executor knows it: what is said about another one comes too late."""
    module: str
    place: str
    id: str
    """In hexadecimal digits."""
    task: str
    queue: str
    attempt: int
    context: str | None
    """The context variables that travel with it."""
    opts: str | None = None
    """What its call, or its schedule, has set of its policy."""


class Step(NamedTuple):
    """How far a job is."""

    done: float
    total: float | None
    message: str | None


class Answer(NamedTuple):
    """How a job ended; a result follows if `kept`."""

    kind: str
    """`returned`, `snooze`, `discard`, `later`, `stopped` or `raised`."""
    kept: bool = False
    dropped: bool = False
    wait: Wait | None = None
    """How long it is to wait; None: what the task gave does not say."""
    text: str = ""
    """The reason, or the error's line."""
    traceback: str = ""
    covered: bool = True
    lines: Sequence[LogLine] = ()
    """What it logged."""
    resident: int = 0
    """Bytes of memory that the process uses after it."""

    def outcome(self, result: bytes | None) -> Succeeded | BaseException:
        """Return what the runner is told."""
        match self.kind:
            case "returned":
                return Succeeded(result, self.dropped) if self.kept or self.dropped else SUCCEEDED
            case "snooze":
                return _waiting(Snooze(None), self)
            case "discard":
                return Discard(self.text)
            case "later":
                return _waiting(RetryLater(None), self)
            case "stopped":
                return asyncio.CancelledError(self.text)
            case _:
                return ChildFailed(self.text, self.traceback, self.covered)


def pack(kind: str, body: Any = None) -> bytes:
    """Return a message.

    Args:
        kind: what it is.
        body: one of the named tuples above, or what JSON has.
    """
    return json.dumps([kind, body], default=float).encode()


def unpack(message: bytes) -> tuple[str, Any]:
    """Return the kind and the body of a message."""
    kind, body = json.loads(message)
    return kind, body


def boot_of(body: list[Any]) -> Hello:
    """Read a boot's body."""
    boot = Hello(*body)
    return boot._replace(caps=Caps(*boot.caps))


def answer_of(body: list[Any]) -> Answer:
    """Read an answer's body."""
    answer = Answer(*body)
    wait = None if answer.wait is None else Wait(*answer.wait)
    return answer._replace(wait=wait, lines=[LogLine(*line) for line in answer.lines])


def _waiting(error: Snooze | RetryLater, answer: Answer) -> BaseException:
    """Let an error say what the one in the other process said."""
    error.wait, error.args = answer.wait, (answer.text,)
    return error
