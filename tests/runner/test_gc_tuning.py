"""What is set otherwise in the interpreter while a runner runs, and that it is put back."""

import gc
import sys
from collections.abc import Iterator

import pytest

from postlude.runner.gc_tuning import SWITCH_EVERY, YOUNG, Collector, Shared, Switching


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threshold, interval = gc.get_threshold(), sys.getswitchinterval()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()
    sys.setswitchinterval(interval)


def test_collections_are_rarer_and_put_back() -> None:
    gc.set_threshold(700, 10, 10)
    collector = Shared(Collector())
    collector.start()
    assert gc.get_threshold() == (YOUNG, 10, 10)
    assert gc.get_freeze_count() > 0
    collector.stop()
    assert (gc.get_threshold(), gc.get_freeze_count()) == ((700, 10, 10), 0)


@pytest.mark.parametrize("chosen", [(0, 10, 10), (YOUNG * 2, 5, 5)])
def test_what_the_application_chose_is_kept(chosen: tuple[int, int, int]) -> None:
    gc.set_threshold(*chosen)
    collector = Shared(Collector())
    collector.start()
    assert gc.get_threshold() == chosen
    collector.stop()
    assert gc.get_threshold() == chosen


def test_what_the_application_froze_stays_frozen() -> None:
    """A server that forks froze what its workers share: a collection would copy those pages in each."""
    gc.freeze()
    frozen = gc.get_freeze_count()
    collector = Shared(Collector())
    collector.start()
    collector.stop()
    assert gc.get_freeze_count() > frozen // 2 > 0, "but what has died meanwhile"


@pytest.mark.parametrize(("chosen", "then"), [(0.005, SWITCH_EVERY), (0.0001, 0.0001)])
def test_threads_change_places_more_often(chosen: float, then: float) -> None:
    sys.setswitchinterval(chosen)
    switching = Shared(Switching())
    switching.start()
    assert sys.getswitchinterval() == pytest.approx(then, abs=2e-6)
    switching.stop()
    assert sys.getswitchinterval() == pytest.approx(chosen, abs=2e-6)


def test_the_last_of_several_runners_puts_it_back() -> None:
    sys.setswitchinterval(0.005)
    switching = Shared(Switching())
    switching.start()
    switching.start()
    switching.stop()
    assert sys.getswitchinterval() == pytest.approx(SWITCH_EVERY), "the other one still runs"
    switching.stop()
    assert sys.getswitchinterval() == pytest.approx(0.005)
