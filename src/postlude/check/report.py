"""A report as people, programs and GitHub read it."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from postlude.check.finding import RULES, Finding, NotLookedAt, Report

SHOWN = 10
"""Calls that were not looked at, of which the text names so many."""


def as_text(report: Report, directory: Path) -> str:
    """Return the report for people.

    Args:
        report: what was found.
        directory: files below it are named from there.
    """
    lines: list[str] = []
    for found in report.findings:
        place = "".join(f"{part}:" for part in _place(found, directory) if part)
        head = f"{place} " if place else ""
        lines.append(f"{head}{found.rule} {found.severity}: {found.says}")
        if found.remedy:
            lines.append(f"    {found.remedy}")
    lines += _not_looked_at(report.not_looked_at, directory)
    lines.append(_summary(report))
    return "\n".join(lines)


def as_json(report: Report, directory: Path) -> str:
    """Return the report as one document of JSON."""
    findings = [
        {
            "rule": found.rule,
            "title": RULES[found.rule].title,
            "level": found.severity,
            "file": None if found.file is None else _named(found.file, directory),
            "line": found.line,
            "column": found.column,
            "says": found.says,
            "remedy": found.remedy or None,
        }
        for found in report.findings
    ]
    puzzles = [
        {"file": _named(one.file, directory), "line": one.line, "why": one.why}
        for one in report.not_looked_at
    ]
    shown = {
        "findings": findings,
        "looked_at": report.calls,
        "not_looked_at": puzzles,
        "ignored": report.ignored,
    }
    return json.dumps(shown, indent=2)


def as_github(report: Report, directory: Path) -> str:
    """Return the report as commands of GitHub's workflows, which show findings beside the code."""
    lines = []
    for found in report.findings:
        kind = "notice" if found.severity == "info" else str(found.severity)
        file, line, column = _place(found, directory)
        where = [
            f"{name}={value}" for name, value in (("file", file), ("line", line), ("col", column)) if value
        ]
        where.append(f"title={found.rule}")
        text = f"{found.says}. {found.remedy}" if found.remedy else found.says
        lines.append(f"::{kind} {','.join(map(_property, where))}::{_data(text)}")
    return "\n".join([*lines, _summary(report)])


def _place(found: Finding, directory: Path) -> tuple[str, str, str]:
    file = "" if found.file is None else _named(found.file, directory)
    return file, str(found.line or ""), str(found.column or "")


def _named(file: Path, directory: Path) -> str:
    return str(file.relative_to(directory) if file.is_relative_to(directory) else file)


def _not_looked_at(puzzles: tuple[NotLookedAt, ...], directory: Path) -> Iterator[str]:
    if not puzzles:
        return
    yield f"Not looked at: {_counted(len(puzzles), 'call')}, because it is not certain what they add."
    for one in puzzles[:SHOWN]:
        yield f"    {_named(one.file, directory)}:{one.line}: {one.why}"
    if len(puzzles) > SHOWN:
        yield f"    and {len(puzzles) - SHOWN} more; --format json names all"


def _summary(report: Report) -> str:
    levels = Counter(found.severity for found in report.findings)
    told = ", ".join(f"{count} {level}{'s' if count > 1 else ''}" for level, count in sorted(levels.items()))
    ignored = f"; {_counted(report.ignored, 'finding')} ignored by comments" if report.ignored else ""
    return f"{_counted(report.calls, 'call')} looked at: {told or 'nothing found'}{ignored}."


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
