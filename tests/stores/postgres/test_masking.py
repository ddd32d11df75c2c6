"""Passwords and hosts are in nothing that is shown, also where the server cannot be reached."""

import os
import subprocess
import sys
import traceback

import psycopg
import pytest

from postlude.errors import JournalUnavailable, PostludeError
from postlude.stores.postgres import PostgresReading, PostgresStore
from postlude.stores.postgres.connection import reason

PLACES = ("db.secret.invalid", "10.9.8.7", "127.0.0.1", "/run/secret", "s3cret")
URLS = (
    "postgresql://shop:s3cret@db.secret.invalid/shop",
    "postgresql://shop:s3cret@127.0.0.1:1/shop",
    "postgresql:///shop?host=/run/secret&user=shop&password=s3cret",
)
WRONG = "postgresql://shop:s3cret@10.9.8.7:port/shop"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("failed to resolve host 'db.secret.invalid': unknown", "failed to resolve the host: unknown"),
        (
            'connection failed: connection to server at "db.secret.invalid" (10.9.8.7), port 5432 failed: '
            "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
            "connection failed: Connection refused",
        ),
        (
            'connection is bad: connection to server on socket "/run/secret/.s.PGSQL.5432" failed: '
            "No such file\n\tIs the server running locally and accepting connections on that socket?",
            "connection is bad: No such file",
        ),
        (
            'could not translate host name "db.secret.invalid" to address: unknown',
            "could not resolve the host: unknown",
        ),
        (
            'FATAL: no pg_hba.conf entry for host "10.9.8.7", user "shop"',
            'FATAL: no pg_hba.conf entry for this host, user "shop"',
        ),
        (
            "all failed: - host: 'db.secret.invalid', port: '5432', hostaddr: '10.9.8.7': Connection refused",
            "all failed: - a host: Connection refused",
        ),
    ],
)  # fmt: skip
def test_a_reason_names_no_place(said: str, shown: str) -> None:
    assert reason(psycopg.OperationalError(said)) == shown


@pytest.mark.parametrize("url", URLS)
def test_who_cannot_reach_it_is_told_no_place(url: str) -> None:
    for open_it in (PostgresStore(url).open, lambda: PostgresReading(url)):
        with pytest.raises(JournalUnavailable) as raised:
            open_it()
        told = "".join(traceback.format_exception(raised.value))
        assert "postgresql://***/shop" in told or "cannot read the journal" in told
        assert not [place for place in PLACES if place in told.replace(repr(url), "")]


def test_so_it_is_where_the_url_is_wrong() -> None:
    with pytest.raises(PostludeError) as raised:
        PostgresStore(WRONG).open()
    assert not [place for place in PLACES if place in "".join(traceback.format_exception(raised.value))]


@pytest.mark.process
@pytest.mark.parametrize("url", URLS)
def test_the_commands_print_no_place(url: str) -> None:
    for command in (["jobs"], ["migrate"], ["queues"]):
        ended = subprocess.run(
            [sys.executable, "-m", "postlude.cli", *command],
            env=os.environ | {"POSTLUDE_STORE": url}, capture_output=True, text=True,
        )  # fmt: skip
        assert ended.returncode != 0
        assert not [place for place in PLACES if place in ended.stdout + ended.stderr], command
