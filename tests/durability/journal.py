"""The journal as the tests look at it: with their own eyes, not through the code under test."""

import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw
import psycopg

SUCCEEDED: Final = 8
FAILED: Final = 9
CANCELLED: Final = 10
RUNNING: Final = 3

_ROWS: Final = """
SELECT p.args, j.seq, j.state, j.reason, j.fence, j.failures, j.deaths, j.suspect, j.finished
FROM job AS j JOIN payload AS p ON p.seq = j.seq ORDER BY j.seq
"""

_TALLY: Final = """
SELECT task, state, n FROM ({tallied}) AS tallied WHERE n <> 0
EXCEPT SELECT task, state, count(*) FROM job GROUP BY task, state
"""

_IN_FILE: Final = "SELECT task, state, n FROM stat"
_ON_SERVER: Final = """
SELECT task, state, sum(n) AS n
FROM (SELECT task, state, n FROM stat UNION ALL SELECT task, state, n FROM tally) AS each
GROUP BY task, state
"""
"""The tally of jobs; on a server, what groups have appended is folded into it from time to time."""


Journal = Path | str
"""A database file, or the URL of a PostgreSQL database."""

_SESSIONS: Final[dict[str, psycopg.Connection[tuple[Any, ...]]]] = {}


def location_of(journal: Journal) -> str:
    """Return what an application is told of it."""
    return journal if isinstance(journal, str) else f"sqlite:///{journal}"


class Row(NamedTuple):
    """One job."""

    token: str
    seq: int
    state: int
    reason: str | None
    fence: int
    failures: int
    deaths: int
    suspect: int
    finished: int | None

    @property
    def final(self) -> bool:
        return self.state >= SUCCEEDED

    @property
    def succeeded(self) -> bool:
        return self.state == SUCCEEDED

    @property
    def cancelled(self) -> bool:
        return self.state == CANCELLED


class Rows(NamedTuple):
    """All jobs, and what is wrong with the file."""

    all: list[Row]
    by_token: dict[str, Row]
    damage: list[str]


def look(journal: Journal, statement: str) -> list[tuple[Any, ...]]:
    """Return what a statement gives."""
    if isinstance(journal, str):
        return _look_at_server(journal, statement)
    with closing(apsw.Connection(str(journal), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        db.set_busy_timeout(2000)
        return list(db.execute(statement))


def _look_at_server(url: str, statement: str) -> list[tuple[Any, ...]]:
    for again in (True, False):  # the server may have been started anew since
        try:
            if url not in _SESSIONS or _SESSIONS[url].closed:
                session = psycopg.connect(url, autocommit=True, options="-csearch_path=postlude")
                _SESSIONS[url] = session
            return _SESSIONS[url].execute(statement.encode()).fetchall()
        except psycopg.OperationalError:
            _SESSIONS.pop(url).close() if url in _SESSIONS else None
            if not again:
                raise
    raise AssertionError


def read_rows(journal: Journal) -> Rows:
    """Return all jobs; checks the file, and its tally against its rows."""
    damage: list[str] = []
    if isinstance(journal, Path):
        damage += [str(found) for (found,) in look(journal, "PRAGMA integrity_check") if found != "ok"]
    tallied = _IN_FILE if isinstance(journal, Path) else _ON_SERVER
    wrong = look(journal, _TALLY.format(tallied=tallied))
    damage += [f"tally of task {task}, state {state}: {n}" for task, state, n in wrong]
    counted = look(journal, f"SELECT (SELECT sum(n) FROM ({tallied}) AS tallied), (SELECT count(*) FROM job)")
    if counted and (counted[0][0] or 0) != counted[0][1]:
        damage.append(f"the tally counts {counted[0][0]} jobs, there are {counted[0][1]}")
    rows = [Row(token_of(args), *rest) for args, *rest in look(journal, _ROWS)]
    return Rows(rows, {row.token: row for row in rows}, damage)


def token_of(args: bytes) -> str:
    """Return by which name the witnesses know a job: its first argument."""
    arguments = json.loads(args)
    token = arguments["k"].get("token") or arguments["a"][0]
    assert isinstance(token, str)
    return token


def row_of(journal: Journal, token: str) -> Row | None:
    """Return the job that a token stands for."""
    rows = [Row(token_of(args), *rest) for args, *rest in look(journal, _ROWS)]
    return next((row for row in rows if row.token == token), None)


def running(journal: Journal) -> set[str]:
    """Return the jobs that are claimed."""
    statement = f"SELECT args FROM payload WHERE seq IN (SELECT seq FROM job WHERE state = {RUNNING})"
    return {token_of(args) for (args,) in look(journal, statement)}


def unfinished(journal: Journal) -> int:
    """Return how many jobs have not ended."""
    return int(look(journal, f"SELECT count(*) FROM job WHERE state < {SUCCEEDED}")[0][0])


def eventually(condition: Callable[[], Any], what: str, within: float = 20.0) -> Any:
    """Return the condition's first true value."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(0.01)
    return value
