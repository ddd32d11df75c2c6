"""Processes that share one journal and run its jobs without a server, and how to talk to them."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.durability.journal import eventually, unfinished
from tests.durability.occupancy import Note, Stay, notes, now, stays
from tests.durability.server import ROOT, environment

CALM: Final[Mapping[str, Any]] = {"reap_every": 0.2, "tune_gc": False}
"""The default lease: eight processes on two processors must not take each other for dead."""

PATIENCE: Final = 60.0
"""Seconds until an answer is given up."""


class Hand:
    """One process; see `workman.py`.

    Args:
        module: has the Postlude and its tasks.
        folder: for its logbook and its log.
        variables: its environment.
    """

    def __init__(self, module: str, folder: Path, variables: Mapping[str, str]) -> None:
        self._log = folder / f"hand-{id(self)}.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.durability.workman", f"tests.durability.{module}"],
                cwd=ROOT,
                env=dict(variables),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._answers.put(line)
        self._answers.put(b"")

    @property
    def pid(self) -> int:
        return self.process.pid

    def tell(self, verb: str, **arguments: Any) -> None:
        """Ask for something; `hear` returns the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([verb, arguments]).encode() + b"\n")
        self.process.stdin.flush()

    def hear(self, within: float = PATIENCE) -> Any:
        """Return the answer to what was asked first of what has not been answered."""
        try:
            line = self._answers.get(timeout=within)
        except queue.Empty:
            line = b""
        assert line, f"no answer within {within} s; it wrote:\n{self.log()}"
        return json.loads(line)

    def ask(self, verb: str, **arguments: Any) -> Any:
        """Ask, and return the answer."""
        self.tell(verb, **arguments)
        return self.hear()

    def log(self) -> str:
        """Return everything that it has logged."""
        return self._log.read_text()

    def leave(self, within: float = 20.0) -> float:
        """Let it end in good order, as by SIGTERM; returns how long that took (seconds)."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(within)
        assert code == 0, self.log()
        return time.monotonic() - began

    def clean_up(self) -> None:
        """End it and what it has started, however it is."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()


class Crew:
    """A journal and those who work on it.

    Args:
        folder: for everything.
        module: has the Postlude and its tasks.
        config: what differs from `CALM`.
    """

    def __init__(self, folder: Path, module: str, config: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self.journal = folder / "journal.db"
        self._module = module
        self._config = {**CALM, **(config or {})}
        self._hands: list[Hand] = []
        self._killed: dict[int, int] = {}

    def hire(self, count: int = 1, **config: Any) -> list[Hand]:
        """Start processes; they do nothing until they are told to."""
        variables = environment(self.folder, self.journal, {**self._config, **config})
        hands = [Hand(self._module, self.folder, variables) for _ in range(count)]
        self._hands += hands
        return hands

    def serving(self, count: int = 1, **config: Any) -> list[Hand]:
        """Start processes that run jobs."""
        hands = self.hire(count, **config)
        for hand in hands:
            hand.tell("start")
        for hand in hands:
            hand.hear()
        return hands

    def kill(self, hand: Hand) -> None:
        """Kill one, with all that it runs."""
        self._killed[hand.pid] = now()
        hand.process.kill()
        hand.process.wait()

    def finish(self, within: float = 60.0) -> None:
        """Return when no job is left."""

        def finished() -> bool:
            for hand in self._hands:
                assert hand.pid in self._killed or hand.process.poll() is None, hand.log()
            return not unfinished(self.journal)

        eventually(finished, "all jobs have ended", within)

    def have_begun(self, runs: int) -> bool:
        """Whether so many runs have begun."""
        return sum(path.read_bytes().count(b"come") for path in self.folder.glob("*.stays")) >= runs

    def noted(self, what: str, token: str, within: float = 20.0) -> Note:
        """Return what a job notes of itself, once it has."""

        def look() -> Note | None:
            return next((n for n in notes(self.folder) if (n.what, n.token) == (what, token)), None)

        found: Note = eventually(look, f"{token} notes that it has {what}", within)
        return found

    def runs(self) -> list[Stay]:
        """Return what the jobs noted of themselves."""
        return stays(self.folder, self._killed)

    def clean_up(self) -> None:
        """End all."""
        for hand in self._hands:
            hand.clean_up()
