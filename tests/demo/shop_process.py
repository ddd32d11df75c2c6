"""The demo as its users start it: the supervisor in a process of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx2

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
PACE = "0.05"
"""Seconds that a slow mail takes, so that 50 of them outlast a kill and do not bore."""
OUTAGE = 6
"""Seconds for which the mail server refuses when it is told to."""


class Demo:
    """A running demo. What it prints is kept in `lines`."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.directory = directory
        chosen = {"DEMO_DIR": str(directory), "DEMO_PACE": PACE, "DEMO_OUTAGE": str(OUTAGE), "PORT": "0"}
        environment = os.environ | chosen
        environment.pop("POSTLUDE_STORE", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "demo.run", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        try:
            self.url = self.eventually(self._find_url, "the demo prints its address")
            self.client = httpx2.Client(base_url=self.url, timeout=30)
            self.eventually(lambda: self.get("/overview"), "the shop answers")
            self.client.get("/").raise_for_status()  # which makes a visitor of it
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.stop()

    def stop(self) -> int:
        """Stop it in order, or by force; returns its exit code."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._reader.join(5)
        return self.process.returncode

    @contextmanager
    def not_restarted(self) -> Iterator[None]:
        """Stop the supervisor, and the mail server in it, for as long as the page needs to be seen."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def get(self, path: str) -> Any:
        """Return a route's JSON."""
        answer = self.client.get(path)
        answer.raise_for_status()
        return answer.json()

    def eventually(self, look: Callable[[], T | None], what: str, within: float = 60) -> T:
        """Look again and again until there is something to see."""
        deadline = time.monotonic() + within
        seen: object = None
        while time.monotonic() < deadline:
            try:
                if found := look():
                    return found
                seen = found
            except httpx2.HTTPError as error:
                seen = error
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        printed = "".join(self.lines)
        raise AssertionError(f"not in {within} s: {what}; last seen: {seen!r}; the demo printed:\n{printed}")

    def _find_url(self) -> str | None:
        words = " ".join(self.lines).split()
        return next((word.rstrip("/") for word in words if word.startswith("http://127.0.0.1:")), None)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
