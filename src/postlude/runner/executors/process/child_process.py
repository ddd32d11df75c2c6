"""One process of the pool, and the thread that talks to it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe, wait
from typing import Final, NamedTuple

from postlude.compat import interpreter_flags
from postlude.runner.executors.process.failures import how_it_died
from postlude.runner.executors.process.lifeline import cast, let_go
from postlude.runner.executors.process.messages import Answer, Hello, RunJob, Step, answer_of, pack, unpack

READY_WITHIN: Final = 60.0
"""Seconds in which a process must have started and imported the application."""

LEAVE_WITHIN: Final = 5.0
"""Seconds that a process has for its own end."""

LOOK_EVERY: Final = 0.005
"""Seconds between two looks whether a process has ended."""

DEAD_WITHIN: Final = 1.0
"""Seconds in which a process whose socket has closed must have ended."""

_PROGRAM: Final = (
    "import json, sys; from sys import argv; sys.path[:] = json.loads(argv[3]); postlude_process = True; "
    f"from {__package__}.child import main; main(int(argv[1]), int(argv[2]), int(argv[4]))"
)
"""Not `multiprocessing.Process`: that runs the application's main module in each process first."""


class Ready(NamedTuple):
    """It can take a job."""


class Ended(NamedTuple):
    """Its job has ended."""

    answer: Answer
    result: bytes | None


class Gone(NamedTuple):
    """It is no more."""

    how: str
    """What a sentence about it continues with: `died with signal 9 (SIGKILL)`."""
    taken: bool
    """It had begun the job that it was given."""


Event = Ready | Step | Ended | Gone


class ChildProcess:
    """Starts a process, passes on what both sides say, and knows when it is gone.

    All that may block is done in its thread. Its methods are for the loop.

    Args:
        boot: what the process is told before its first job.
        tell: called on the loop with what happens.
        loop: that loop.

    Raises:
        OSError: no file can be opened for it.
        RuntimeError: no thread can be started for it.
    """

    def __init__(
        self, boot: Hello, tell: Callable[["ChildProcess", Event], None], loop: AbstractEventLoop
    ) -> None:
        self.jobs = 0
        """How many it has been given."""
        self.number = 0
        """The job's that it was given last."""
        self.doomed = False
        """Whether it was killed on purpose."""
        self._boot = boot
        self._tell_loop = tell
        self._loop = loop
        self._messages: deque[bytes | None] = deque()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: int | None = None
        self._leaving = False
        self._taken = False
        self._waking = threading.Lock()
        self._ending = threading.Lock()
        self._reaped = False
        self._ear, self._bell = Pipe(duplex=False)
        try:
            threading.Thread(target=self._serve, name="postlude-process", daemon=True).start()
        except RuntimeError:
            self._ear.close()
            self._bell.close()
            raise

    def give(self, order: RunJob, payload: bytes) -> None:
        """Let it run a job."""
        self.jobs += 1
        self.number = order.number
        self._post(pack("job", order), payload)

    def ask_to_stop(self) -> None:
        """Tell it that its job was asked to stop."""
        self._post(pack("stop", self.number))

    def leave(self) -> None:
        """Let it end in its own time, which is short; it has no job."""
        self._post(pack("leave"), None)

    def kill(self) -> None:
        """End it now."""
        self.doomed = True
        self._end_group()

    def _post(self, *messages: bytes | None) -> None:
        with self._waking:
            if not self._bell.closed:
                self._messages.extend(messages)
                self._bell.send_bytes(b"")

    def _serve(self) -> None:
        # Signals that the process gets before it can decide about them wait until it does.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        how: str | None = None
        try:
            connection = self._start()
        except Exception as error:
            how = f"could not be started: {error}"
        else:
            try:
                how = self._talk(connection)
            except (EOFError, OSError):
                pass
            except Exception as error:
                how = f"said something that cannot be read: {error!r}"
            finally:
                connection.close()
        code = self._reap()
        if self._line is not None:
            let_go(self._line)
        with self._waking:
            self._bell.close()
            self._ear.close()
        self._tell(Gone(how or how_it_died(code), self._taken))

    def _start(self) -> Connection:
        if not sys.executable:
            raise OSError("sys.executable does not say where Python is")
        ours, theirs = Pipe()
        line = -1
        try:
            line, self._line = cast()
            path = json.dumps([entry for entry in sys.path if isinstance(entry, str)])
            python = [sys.executable, *interpreter_flags(), "-c", _PROGRAM]
            told = [str(theirs.fileno()), str(os.getpid()), path, str(line)]
            self._process = subprocess.Popen(
                [*python, *told],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), line),
                start_new_session=True,  # whatever its jobs start ends with it
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            if line >= 0:
                os.close(line)
        if self.doomed:
            self._end_group()
        return ours

    def _talk(self, connection: Connection) -> str | None:
        """Pass on what both sides say, until the process is gone; returns what was wrong, if known."""
        connection.send_bytes(pack("boot", self._boot))
        if not connection.poll(READY_WITHIN):
            return f"was not ready after {READY_WITHIN:.0f} seconds"
        self._hear(connection)
        while not self._leaving:
            for source in wait([connection, self._ear]):
                if source is connection:
                    self._hear(connection)
                else:
                    self._ear.recv_bytes()
                    self._say(connection)
        return None

    def _say(self, connection: Connection) -> None:
        with suppress(OSError):  # it is gone; what it said before is still to be heard
            while self._messages:
                message = self._messages.popleft()
                if message is None:
                    self._leaving = True
                else:
                    connection.send_bytes(message)

    def _hear(self, connection: Connection) -> None:
        kind, body = unpack(connection.recv_bytes())
        match kind:
            case "ready":
                self._tell(Ready())
            case "taken":
                self._taken = True
            case "progress":
                self._tell(Step(*body))
            case "ended":
                answer = answer_of(body)
                result = connection.recv_bytes() if answer.kept else None
                self._taken = False
                self._tell(Ended(answer, result))

    def _reap(self) -> int:
        """Return the process's exit code; ends it, if it does not by itself, and what its job has started."""
        process = self._process
        if process is None:
            return 0
        within = LEAVE_WITHIN if self._leaving else DEAD_WITHIN
        if not self._ended_within(process.pid, within) or not self._leaving:
            self._end_group()
        with self._ending:
            self._reaped = True
        return process.wait()

    @staticmethod
    def _ended_within(pid: int, seconds: float) -> bool:
        """Wait for a process's end without reaping it: until then its number is nobody else's."""
        until = time.monotonic() + seconds
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            if time.monotonic() >= until:
                return False
            time.sleep(LOOK_EVERY)
        return True

    def _end_group(self) -> None:
        """End the process and all of its session that has not left it. From any thread."""
        with self._ending:
            process = self._process
            if process is None or self._reaped:
                return
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except OSError:  # some systems refuse it for one that has ended
                process.kill()

    def _tell(self, event: Event) -> None:
        try:
            self._loop.call_soon_threadsafe(self._tell_loop, self, event)
        except RuntimeError:  # the loop has closed: nobody waits for what comes
            self.kill()
