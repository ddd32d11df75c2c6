"""Charts: from numbers to shapes. Pure functions; templates write what they return as SVG.

Each chart is 1000 wide and 100 high, and is stretched to the room that there is; texts stand beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 1000.0
HEIGHT: Final = 100.0

_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a bar."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True, slots=True)
class Slot:
    """The room of one point in time: what is told of it, and where it leads."""

    x: float
    width: float
    title: str
    href: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line, or several with gaps."""

    path: str
    kind: str


@dataclass(frozen=True, slots=True)
class Key:
    """What a colour stands for."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a chart's table, and where it leads."""

    cells: tuple[str, ...]
    href: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, and its numbers as a table."""

    title: str
    top: str
    """What its full height stands for."""
    bars: tuple[Bar, ...]
    lines: tuple[Line, ...]
    slots: tuple[Slot, ...]
    labels: tuple[str, ...]
    """Below it, from left to right."""
    keys: tuple[Key, ...]
    heads: tuple[str, ...]
    rows: tuple["Row", ...]
    """The table, newest first."""
    empty: bool


def ceiling(value: float) -> float:
    """Return the next round number: 1, 2, 2.5, 5 or 10 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 1.0
    while value > 10 * power:
        power *= 10
    while value <= power:
        power /= 10
    # Dividing by ten again and again loses a little, so that none of them may be large enough.
    return next((step * power for step in _STEPS if value <= step * power), value)


def stacked(columns: Sequence[Sequence[tuple[str, float]]], top: float) -> tuple[Bar, ...]:
    """Return columns of parts, the first of each at the bottom; parts of nothing are left out."""
    if not columns:
        return ()
    step = WIDTH / len(columns)
    gap = min(step * 0.18, 3.0)
    bars: list[Bar] = []
    for place, parts in enumerate(columns):
        height = 0.0
        for kind, value in parts:
            if value > 0:
                tall = max(value / top * HEIGHT, 1.5)
                height += tall
                bars.append(_bar(place * step + gap / 2, HEIGHT - height, step - gap, tall, kind))
    return tuple(bars)


def _bar(x: float, y: float, width: float, height: float, kind: str) -> Bar:
    return Bar(round(x, 2), round(max(y, 0.0), 2), round(width, 2), round(height, 2), kind)


def slots(titles: Sequence[tuple[str, str]]) -> tuple[Slot, ...]:
    """Return the rooms of points in time, of what is told of each and where it leads."""
    step = WIDTH / max(1, len(titles))
    return tuple(
        Slot(round(place * step, 2), round(step, 2), title, href)
        for place, (title, href) in enumerate(titles)
    )


def line(values: Sequence[float | None], top: float, kind: str) -> Line:
    """Return a line through the middles of the rooms; None is a gap, and a point alone a short dash."""
    step = WIDTH / max(1, len(values))
    parts: list[str] = []
    drawing = False
    for place, value in enumerate(values):
        if value is None:
            drawing = False
            continue
        x, y = (place + 0.5) * step, HEIGHT - min(value / top, 1.0) * (HEIGHT - 2) - 1
        if drawing:
            parts.append(f"L{x:.1f} {y:.1f}")
        else:
            alone = place + 1 >= len(values) or values[place + 1] is None
            half = step / 2 if alone else 0
            parts.append(f"M{x - half:.1f} {y:.1f}" + (f"L{x + half:.1f} {y:.1f}" if alone else ""))
        drawing = True
    return Line("".join(parts), kind)


def spark(values: Sequence[float]) -> tuple[Bar, ...]:
    """Return small columns of one kind."""
    top = max([*values, 1.0])
    return stacked([[("failed", value)] for value in values], top)


def spans(pieces: Sequence[tuple[float, float, str]], begin: float, end: float) -> tuple[Bar, ...]:
    """Return pieces of time on one line, each at least so long that it can be seen.

    Args:
        pieces: begin, end and kind of each.
        begin: where the line begins.
        end: where it ends.
    """
    whole = max(end - begin, 1e-6)
    found: list[Bar] = []
    for start, stop, kind in pieces:
        x = (start - begin) / whole * WIDTH
        width = max((stop - start) / whole * WIDTH, 4.0)
        x = min(x, WIDTH - width)
        found.append(_bar(x, 0, width, HEIGHT, kind))
    return tuple(found)


def quantile(buckets: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """Return the value below which such a share lies, as near as buckets tell; None: there are none.

    Args:
        buckets: how many there are up to each bound, and beyond the last.
        bounds: upper bounds of all but the last.
        share: 0.95 of them, say.
    """
    whole = sum(buckets)
    if not whole:
        return None
    wanted = share * whole
    seen = 0
    for place, many in enumerate(buckets):
        if many and seen + many >= wanted:
            if place >= len(bounds):
                return bounds[-1]
            below = bounds[place - 1] if place else 0.0
            return below + (bounds[place] - below) * (wanted - seen) / many
        seen += many
    return bounds[-1]
