"""Reports, as people, programs and GitHub read them."""

import json
from pathlib import Path

from postlude.check.finding import RULES, Finding, NotLookedAt, Report
from postlude.check.report import as_github, as_json, as_text

PROJECT = Path("/project")
REPORT = Report(
    (
        Finding("PL001", "runs in memory only: 100%,\nyes", "write a def", PROJECT / "shop/a,b.py", 7, 5),
        Finding("PL009", "fastapi 2 has not been tried yet", ""),
    ),
    1204,
    tuple(NotLookedAt(PROJECT / "shop/main.py", line, "what a call gives") for line in range(1, 13)),
    1,
)


def test_for_people() -> None:
    assert as_text(REPORT, PROJECT).splitlines() == [
        "shop/a,b.py:7:5: PL001 warning: runs in memory only: 100%,",
        "yes",
        "    write a def",
        "PL009 error: fastapi 2 has not been tried yet",
        "Not looked at: 12 calls, because it is not certain what they add.",
        *(f"    shop/main.py:{line}: what a call gives" for line in range(1, 11)),
        "    and 2 more; --format json names all",
        "1,204 calls looked at: 1 error, 1 warning; 1 finding ignored by comments.",
    ]


def test_files_outside_of_the_project_are_named_whole() -> None:
    assert as_text(REPORT, Path("/elsewhere")).startswith("/project/shop/a,b.py:7:5: ")


def test_nothing_found() -> None:
    assert as_text(Report((), 1, (), 0), PROJECT) == "1 call looked at: nothing found."


def test_for_programs() -> None:
    document = json.loads(as_json(REPORT, PROJECT))
    assert document["findings"][0] == {
        "rule": "PL001",
        "title": RULES["PL001"].title,
        "level": "warning",
        "file": "shop/a,b.py",
        "line": 7,
        "column": 5,
        "says": "runs in memory only: 100%,\nyes",
        "remedy": "write a def",
    }
    assert document["findings"][1]["file"] is None
    assert document["findings"][1]["remedy"] is None
    assert (document["looked_at"], len(document["not_looked_at"]), document["ignored"]) == (1204, 12, 1)


def test_for_github_what_would_end_a_command_is_escaped() -> None:
    first, second, *_ = as_github(REPORT, PROJECT).splitlines()
    assert first == (
        "::warning file=shop/a%2Cb.py,line=7,col=5,title=PL001"
        "::runs in memory only: 100%25,%0Ayes. write a def"
    )
    assert second == "::error title=PL009::fastapi 2 has not been tried yet"
