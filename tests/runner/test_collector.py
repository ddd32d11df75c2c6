"""The tuning of Python's garbage collector while a runner runs."""

import gc
from collections.abc import Iterator

import pytest

from postlude.runner.collector import YOUNG, CollectorTuning


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_it_is_raised_and_put_back() -> None:
    gc.set_threshold(700, 10, 10)
    tuning = CollectorTuning()
    tuning.start()
    assert gc.get_threshold() == (YOUNG, 10, 10)
    assert gc.get_freeze_count() > 0
    tuning.stop()
    assert (gc.get_threshold(), gc.get_freeze_count()) == ((700, 10, 10), 0)


@pytest.mark.parametrize("chosen", [(0, 10, 10), (YOUNG * 2, 5, 5)])
def test_what_the_application_chose_is_kept(chosen: tuple[int, int, int]) -> None:
    gc.set_threshold(*chosen)
    tuning = CollectorTuning()
    tuning.start()
    assert gc.get_threshold() == chosen
    tuning.stop()
    assert gc.get_threshold() == chosen


def test_stopping_what_was_not_started_changes_nothing() -> None:
    before = gc.get_threshold()
    CollectorTuning().stop()
    assert gc.get_threshold() == before
