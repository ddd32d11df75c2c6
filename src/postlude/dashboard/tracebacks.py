"""Tracebacks: the application's own frames, and others folded away."""

import re
from dataclasses import dataclass
from typing import Final

from postlude.model.failure import is_own

_FRAME: Final = re.compile(r'^\s*File "([^"\n]+)", line \d+')


@dataclass(frozen=True, slots=True)
class Part:
    """Some lines of a traceback."""

    text: str
    folded: int = 0
    """How many frames of others these are; 0: lines that are shown."""


def parts_of(text: str) -> tuple[Part, ...]:
    """Return a traceback in parts, in their order."""
    parts: list[Part] = []
    lines: list[str] = []
    frames = 0
    folding = False

    def end() -> None:
        nonlocal lines, frames
        if lines:
            parts.append(Part("\n".join(lines), frames))
        lines, frames = [], 0

    for line in text.rstrip("\n").split("\n"):
        frame = _FRAME.match(line)
        if frame is not None:
            if folding is not (not is_own(frame[1])):
                end()
                folding = not folding
            frames += folding
        elif folding and not line.startswith("    "):
            end()
            folding = False
        lines.append(line)
    end()
    return tuple(parts)
