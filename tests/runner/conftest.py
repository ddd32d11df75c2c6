"""Logging as the tests of what tasks log need it."""

import io
import logging
from collections.abc import Callable, Iterator

import pytest

from tests.runner.logged import FORMAT, shop


@pytest.fixture
def plain_logging() -> Iterator[None]:
    """Logging as in a program that has configured nothing; put back after the test."""
    factory, level = logging.getLogRecordFactory(), logging.root.level
    shop.setLevel(logging.DEBUG)
    yield
    logging.root.setLevel(level)
    logging.setLogRecordFactory(factory)
    for name in ("tests.shop", "tests.private", "postlude", "postlude.jobs"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.NOTSET)
        logger.propagate, logger.filters[:], logger.handlers[:] = True, [], []


@pytest.fixture
def bare() -> Iterator[Callable[[], None]]:
    """Take away the root logger's handlers, which pytest adds when the test itself begins."""
    root = logging.getLogger()
    taken: list[logging.Handler] = []

    def take() -> None:
        taken.extend(root.handlers)
        root.handlers[:] = []

    yield take
    root.handlers[:] = taken


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What a handler of the application writes, with the job's fields in its format."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter(FORMAT))
    shop.addHandler(handler)
    yield text
    shop.removeHandler(handler)
