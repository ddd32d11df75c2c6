"""PL009: what Postlude stands on, and whether it has been tried with that."""

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from postlude.check.finding import Finding

OLDEST: Final[dict[str, tuple[int, ...]]] = {"python": (3, 11), "fastapi": (0, 115), "starlette": (0, 37, 2)}
NEWEST: Final[dict[str, tuple[int, ...]]] = {"fastapi": (0, 165), "starlette": (1, 10)}


def unsupported() -> Iterator[Finding]:
    """Yield the packages in releases that Postlude has not been tried with."""
    installed: dict[str, tuple[int, ...]] = {"python": sys.version_info[:3]}
    for name in ("fastapi", "starlette"):
        try:
            installed[name] = _numbers(version(name))
        except PackageNotFoundError:
            continue
    for name, found in installed.items():
        oldest, newest = OLDEST[name], NEWEST.get(name)
        if found < oldest:
            remedy = f"use {name} {shown(oldest)} or later"
            yield Finding("PL009", f"{name} {shown(found)} is too old", remedy)
        elif newest is not None and found[: len(newest)] > newest:
            remedy = f"the newest that was tried is {shown(newest)}; run your tests, or pin it"
            yield Finding("PL009", f"{name} {shown(found)} has not been tried yet", remedy)


def _numbers(text: str) -> tuple[int, ...]:
    parts = []
    for part in text.split("."):
        if not part.isdigit():
            break
        parts.append(int(part))
    return tuple(parts)


def shown(numbers: tuple[int, ...]) -> str:
    """Return a release as people write it."""
    return ".".join(map(str, numbers))
