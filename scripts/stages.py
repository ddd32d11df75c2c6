"""Run stages of `make test` one after another, all of them, and say at the end which failed.

    python scripts/stages.py lint types suite

Each stage is a target of the Makefile. What it prints is passed on as it comes. The last lines name the
tests that were skipped and the stages that failed; the very last one counts tests, in pytest's words.
"""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_CLOSING = re.compile(r"^=*\s*((?:\d+ [a-z]+(?:, )?)+) in \d+\.\d+s.*$", re.MULTILINE)
_SKIPPED = re.compile(r"^SKIPPED \[\d+\] .*$", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Stage:
    """How a stage has ended."""

    name: str
    code: int
    seconds: float
    counts: Counter[str]
    skipped: tuple[str, ...]
    """The lines of pytest's that name skipped tests."""

    @property
    def line(self) -> str:
        """What the summary says of it."""
        end = "passed" if self.code == 0 else "FAILED"
        counts = f"   {told(self.counts)}" if self.counts else ""
        return f"  {self.name:<10} {end} in {self.seconds:6.1f} s{counts}"


def read(name: str, code: int, seconds: float, output: str) -> Stage:
    """Read from a stage's output what its tests have come to."""
    output = _COLOUR.sub("", output)
    counts: Counter[str] = Counter()
    for closing in _CLOSING.findall(output):
        for part in closing.split(", "):
            number, _, word = part.partition(" ")
            counts["errors" if word == "error" else word] += int(number)
    return Stage(name, code, seconds, counts, tuple(_SKIPPED.findall(output)))


def told(counts: Counter[str]) -> str:
    """Return counts as pytest writes them."""
    parts = [f"{counts[word]} {word}" for word in ("passed", "failed", "skipped")]
    if errors := counts["errors"]:
        parts.insert(2, f"{errors} {'error' if errors == 1 else 'errors'}")
    return ", ".join(parts)


def summary(stages: Sequence[Stage]) -> list[str]:
    """Return the last lines of a run."""
    lines = ["", "The stages:", *(stage.line for stage in stages)]
    skipped = [f"  {stage.name}: {line}" for stage in stages for line in stage.skipped]
    lines += ["Skipped:", *skipped] if skipped else ["No test was skipped."]
    failed = [stage.name for stage in stages if stage.code != 0]
    lines.append(f"FAILED: {', '.join(failed)}" if failed else "Every stage passed.")
    counts: Counter[str] = Counter()
    for stage in stages:
        counts.update(stage.counts)
    return [*lines, told(counts)]


def run(name: str, command: Sequence[str], show: Callable[[bytes], object]) -> Stage:
    """Run a stage, and show what it prints as it comes, also before a line is complete."""
    print(f"\n--- {name}", flush=True)
    began = time.monotonic()
    pieces = []
    with subprocess.Popen([*command, name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        while piece := os.read(process.stdout.fileno(), 65_536):
            show(piece)
            pieces.append(piece)
        code = process.wait()
    return read(name, code, time.monotonic() - began, b"".join(pieces).decode("utf-8", "replace"))


def show(piece: bytes) -> None:
    """Pass on what a stage has printed."""
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def main(names: Sequence[str]) -> int:
    """Run all stages; 1 if one has failed."""
    make = ["make", "--no-print-directory"]
    try:
        stages = [run(name, make, show) for name in names]
    except KeyboardInterrupt:
        return 130
    print("\n".join(summary(stages)), flush=True)
    return int(any(stage.code != 0 for stage in stages))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
