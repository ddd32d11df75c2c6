"""Results as text for people."""

from collections.abc import Sequence
from typing import Any


def web_table(title: str, figures: dict[str, Any], columns: Sequence[str]) -> str:
    """Return a table with one row a variant; the ratio to native beside each figure."""
    lines = [[title, *columns]]
    for variant, entry in figures.items():
        ratios = entry.get("to_native", {})
        cells = [
            f"{entry[name]:,}" + (f" ({ratios[name]:.2f})" if name in ratios else "") for name in columns
        ]
        lines.append([variant, *cells])
    return align(lines)


def pairs_table(title: str, figures: dict[str, Any]) -> str:
    """Return a table with one row a figure."""
    return align([[title, ""], *([name, f"{value:,}"] for name, value in figures.items())])


def align(lines: Sequence[Sequence[str]]) -> str:
    """Return rows with their columns under one another; the first one is the head."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    rows = [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in lines
    ]
    return "\n".join([rows[0], "-" * len(rows[0]), *rows[1:]])
