"""Lines of a program that has configured no logging; and that it is left alone when it has."""

import io
import logging
import re
from collections.abc import Callable, Iterator

import pytest

from postlude.runner.attempt.logs import LogKeeper
from postlude.telemetry.startup_log import LAST, announce, be_heard

Captured = pytest.CaptureFixture[str]
Call = Callable[[], None]

log = logging.getLogger("postlude.jobs")

LINE = r"(INFO: {5}|WARNING: {2}|ERROR: {4}|CRITICAL: )\d{4}-\d\d-\d\d \d\d:\d\d:\d\d postlude(\.jobs)?: "


@pytest.fixture
def unconfigure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Leave no handler anywhere, as in a program that has never thought of logging.

    Not done here, because pytest puts its own handlers there when the test itself begins.
    """
    root, own = logging.getLogger(), logging.getLogger("postlude")
    before = root.level, own.level

    def unconfigure() -> None:
        for logger in (root, own, log, logging.getLogger("uvicorn.error")):
            monkeypatch.setattr(logger, "handlers", [])
            monkeypatch.setattr(logger, "propagate", True)

    yield unconfigure
    root.setLevel(before[0])
    own.setLevel(before[1])
    logging.getLogger("uvicorn.error").setLevel(logging.NOTSET)


def to(stream: io.StringIO, name: str | None = None) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    logging.getLogger(name).addHandler(handler)
    return handler


@pytest.mark.parametrize("level", ["warning", "error", "critical"])
def test_lines_look_like_the_servers(level: str, capsys: Captured, unconfigure: Call) -> None:
    unconfigure()
    be_heard()
    getattr(log, level)("%s is late", "it")
    line = capsys.readouterr().err
    assert re.fullmatch(LINE + "it is late\n", line), line


def test_a_traceback_follows_its_line(capsys: Captured, unconfigure: Call) -> None:
    unconfigure()
    be_heard()
    try:
        raise ValueError("why")
    except ValueError:
        log.exception("failed")
    first, *rest = capsys.readouterr().err.splitlines()
    assert re.fullmatch(LINE + "failed", first)
    assert (rest[0], rest[-1]) == ("Traceback (most recent call last):", "ValueError: why")


def test_a_line_that_cannot_be_written_is_told_as_logging_tells_it(
    capsys: Captured, unconfigure: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    unconfigure()
    be_heard()
    monkeypatch.setattr(logging, "raiseExceptions", True)
    log.warning("%d is late", "it")
    told = capsys.readouterr().err
    assert "--- Logging error ---" in told
    assert "is late" in told


def test_information_is_shown_to_who_asks_for_it(capsys: Captured, unconfigure: Call) -> None:
    unconfigure()
    be_heard()
    log.info("not this")
    logging.getLogger("postlude").setLevel(logging.INFO)
    log.info("but this")
    assert re.fullmatch(LINE + "but this\n", capsys.readouterr().err)


@pytest.mark.parametrize("where", [None, "postlude", "postlude.jobs"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_whoever_has_configured_logging_is_left_alone(
    where: str | None, when: str, capsys: Captured, unconfigure: Call
) -> None:
    unconfigure()
    heard = io.StringIO()
    if when == "before":
        to(heard, where)
    be_heard()
    if when == "after":
        log.warning("early")
        assert "early" in capsys.readouterr().err
        to(heard, where)
    log.warning("late")
    assert heard.getvalue() == "late\n"
    assert capsys.readouterr().err == ""
    assert (LAST in logging.getLogger("postlude").handlers) is (when == "after" or where == "postlude.jobs")


def test_silence_is_a_decision_too(capsys: Captured, unconfigure: Call) -> None:
    unconfigure()
    logging.getLogger("postlude").addHandler(logging.NullHandler())
    be_heard()
    log.warning("nobody wants this")
    assert capsys.readouterr().err == ""


def test_it_is_there_once(capsys: Captured, unconfigure: Call) -> None:
    unconfigure()
    be_heard()
    be_heard()
    log.warning("once")
    assert capsys.readouterr().err.count("once") == 1


def test_a_keeper_of_log_lines_is_no_configuration(capsys: Captured, unconfigure: Call) -> None:
    """Its handler stands in for logging's last resort, which is not to speak as well."""
    unconfigure()
    keeper = LogKeeper(keep=True)
    keeper.start()
    marker = logging.getLogRecordFactory()
    try:
        logging.getLogger().addHandler(marker.taps[0])  # type: ignore[attr-defined]
        be_heard()
        log.warning("once")
        logging.getLogger("shop").warning("the shop's")
    finally:
        keeper.stop()
    ours, others = capsys.readouterr().err.splitlines()
    assert re.fullmatch(LINE + "once", ours)
    assert others == "the shop's"


def test_announcements_have_the_same_form_where_the_server_shows_its_own(
    capsys: Captured,
    unconfigure: Call,
) -> None:
    unconfigure()
    be_heard()
    announce("not seen")
    heard = io.StringIO()
    to(heard, "uvicorn.error")
    logging.getLogger("uvicorn.error").setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").propagate = False
    announce("here it is")
    assert re.fullmatch(LINE + "here it is\n", capsys.readouterr().err)
    to(io.StringIO())
    announce("in the server's log")
    assert heard.getvalue() == "postlude: in the server's log\n"
    assert capsys.readouterr().err == ""
