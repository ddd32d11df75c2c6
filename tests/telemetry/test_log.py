"""The package's own log: what the application's handlers raise does not come out of it."""

import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from postlude.telemetry import log
from postlude.telemetry.log import Log


class Failing(logging.Handler):
    """Raises, as a handler whose server is down."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def emit(self, record: logging.LogRecord) -> None:
        raise self.error


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("postlude.test_log")
    log._TOLD.clear()
    yield logger
    logger.handlers[:], logger.filters[:] = [], []


def say(to: Log) -> None:
    to.error("%s is told", "an exception", exc_info=KeyError("inner"))
    to.debug("d")
    to.info("%d", 1, extra={"task": "t"})
    to.warning("w", exc_info=ValueError("x"))
    to.error("e")
    to.critical("c")


@pytest.mark.parametrize("error", [OSError("down"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_nothing_that_a_handler_raises_comes_out(
    logger: logging.Logger, error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    logger.addHandler(Failing(error))
    say(Log(logger.name))
    told = capsys.readouterr().err
    say(Log(logger.name))  # another of the same logger's
    assert capsys.readouterr().err == ""
    assert told.count("what was to be logged") == 1
    assert "an exception is told" in told
    assert type(error).__name__ in told


def test_nor_what_a_filter_or_a_record_factory_raises(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise LookupError("request_id")

    logger.addFilter(fail)
    say(Log(logger.name))
    assert "LookupError: request_id" in capsys.readouterr().err
    log._TOLD.clear()
    logger.filters[:] = []
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(fail)
    try:
        say(Log(logger.name))
    finally:
        logging.setLogRecordFactory(before)
    assert "LookupError: request_id" in capsys.readouterr().err


def test_it_is_not_told_where_logging_tells_no_errors(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logger.addHandler(Failing(OSError()))
    say(Log(logger.name))
    assert capsys.readouterr().err == ""


class Mute(Exception):
    def __str__(self) -> str:
        raise SystemExit


def test_what_cannot_be_told_is_not(logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    logger.addHandler(Failing(Mute()))
    monkeypatch.setattr(sys, "stderr", None)
    Log(logger.name).error("%s", Mute())


def test_a_record_says_where_it_comes_from(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger.name):
        say(Log(logger.name))
    assert [record.funcName for record in caplog.records] == ["say"] * 6
    assert [record.levelname for record in caplog.records] == [
        "ERROR", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL",
    ]  # fmt: skip
    first, *_ = caplog.records
    assert first.exc_info is not None
    assert first.exc_info[0] is KeyError
    assert caplog.records[2].__dict__["task"] == "t"


def test_what_is_shown_has_a_level_and_somebody_who_hears_it(logger: logging.Logger) -> None:
    own = Log("postlude.test_log")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    try:
        assert not own.shows(logging.WARNING)
        logger.addHandler(logging.NullHandler())
        assert own.shows(logging.WARNING)
        assert own.shows(logging.INFO)
        assert not own.shows(logging.DEBUG)
    finally:
        logger.propagate = True
        logger.setLevel(logging.NOTSET)


def test_a_logger_with_a_level_of_its_own_is_decided(logger: logging.Logger) -> None:
    own = Log("postlude.test_log")
    assert own.undecided
    logger.setLevel(logging.INFO)
    try:
        assert not own.undecided
    finally:
        logger.setLevel(logging.NOTSET)
