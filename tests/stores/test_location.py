"""Reading where a journal is."""

import sys
from pathlib import Path

import pytest

from postlude.clock import SystemClock
from postlude.errors import JournalRefused
from postlude.stores.location import DEFAULT_LOCATION, StoreKind, StoreLocation, masked, parse_location
from postlude.stores.open import choose_store, open_reading


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("text", ["off", " OFF "])
def test_off(text: str) -> None:
    assert parse_location(text) == StoreLocation(StoreKind.OFF)


def test_memory() -> None:
    assert parse_location("memory") == StoreLocation(StoreKind.MEMORY)


def test_three_slashes_are_relative_to_the_working_directory(tmp_path: Path) -> None:
    expected = StoreLocation(StoreKind.SQLITE, f"sqlite:///{tmp_path}/data/jobs.db")
    assert parse_location("sqlite:///data/jobs.db") == expected
    assert parse_location("sqlite:///./other/../data/jobs.db") == expected


def test_four_slashes_are_absolute() -> None:
    assert parse_location("SQLite:////var/lib/jobs.db").path == Path("/var/lib/jobs.db")


def test_a_path_may_hold_what_urls_quote() -> None:
    assert parse_location("sqlite:////srv/a b%20@c#d.db").path == Path("/srv/a b%20@c#d.db")


def test_the_default_is_a_file_here(tmp_path: Path) -> None:
    assert parse_location(DEFAULT_LOCATION).path == tmp_path / "postlude.db"


@pytest.mark.parametrize("text", ["off", "memory", "sqlite:////var/lib/jobs.db"])
def test_written_out_it_can_be_read_again(text: str) -> None:
    assert str(parse_location(text)) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names no store"),
        ("jobs", "names no store"),
        ("jobs.db", "a path is written sqlite:///jobs.db"),
        ("/var/lib/jobs", "a path is written sqlite:////var/lib/jobs"),
        ("mysql://localhost/shop", "names no store"),
        ("sqlite+aiosqlite:///jobs.db", "names no store"),
        ("sqlite://", "three slashes"),
        ("sqlite://jobs.db", "three slashes"),
        ("sqlite:///", "names no file"),
        ("sqlite:///folder/", "names no file"),
        ("sqlite:///a\0b", "names no file"),
        ("sqlite:///:memory:", "called `memory`"),
        ("sqlite:///jobs.db?mode=ro", "no options"),
        ("postgresql+asyncpg://localhost/shop", "no driver is named: write postgresql://"),
    ],
)
def test_refusals_say_why_and_what_is_allowed(text: str, why: str) -> None:
    with pytest.raises(JournalRefused) as caught:
        parse_location(text)
    message = str(caught.value)
    assert message.startswith("store=")
    assert why in message
    assert "sqlite:///relative/path.db" in message


@pytest.mark.parametrize(
    "text",
    [
        "postgresql+psycopg://ada:hunter2@localhost/shop",
        "postgresql+psycopg://ada:p@ss/hunter2@localhost/shop",
        "mysql://:hunter2@localhost/shop",
        "mysql://localhost/shop?user=ada&password=hunter2",
        "mysql://ada:hunter2@localhost/shop",
        "sqlite:///jobs.db?key=hunter2",
    ],
)
def test_messages_hide_passwords(text: str) -> None:
    with pytest.raises(JournalRefused) as caught:
        parse_location(text)
    assert "hunter2" not in str(caught.value)
    assert "***" in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "PostgreSQL"])
@pytest.mark.parametrize("rest", ["ada:hunter2@db/s", "ada:p@ss/hunter2@db/s", "db/s?password=hunter2"])
def test_a_server_is_where_its_url_says_and_shows_no_password(scheme: str, rest: str) -> None:
    location = parse_location(f"{scheme}://{rest}")
    assert location == StoreLocation(StoreKind.POSTGRES, f"postgresql://{rest}")
    assert "hunter2" not in str(location)


def test_without_the_extra_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "postlude.stores.postgres", None)
    monkeypatch.delattr("postlude.stores.postgres", raising=False)
    with pytest.raises(JournalRefused, match=r"pip install 'postlude\[postgres\]'"):
        choose_store("postgresql://db/shop", SystemClock())


def test_masking_leaves_the_rest_readable() -> None:
    assert masked("postgresql://ada:hunter2@db:5432/shop") == "postgresql://ada:***@db:5432/shop"
    assert masked("postgresql://db:5432/shop") == "postgresql://db:5432/shop"


@pytest.mark.parametrize("text", ["memory", "off"])
def test_what_dies_with_its_process_cannot_be_looked_at(text: str) -> None:
    with pytest.raises(JournalRefused, match="keeps no journal to look at; give --store a path"):
        open_reading(parse_location(text))
