"""What a worker tells of its processes."""

from types import SimpleNamespace
from typing import Any

import pytest

from postlude.worker.health import DEAF, Health
from postlude.worker.places import LONGEST_PAUSE, SOON, Slot


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def member(**differently: Any) -> Any:
    told: dict[str, Any] = {
        "pid": 7, "heard": 1000.0, "runs_since": 990.0, "retiring": False, "told": {"jobs": 3}, **differently
    }  # fmt: skip
    return SimpleNamespace(**told)


def health(*members: Any, stopping: bool = False) -> tuple[Health, Clock]:
    supervisor: Any = SimpleNamespace(members=list(members), stopping=stopping)
    return Health(supervisor, clock := Clock()), clock


def test_while_one_runs_jobs_it_is_ready() -> None:
    it, clock = health(member(runs_since=None), member())
    assert (it.ready, it.live) == (True, True)
    assert it.told()["processes"][1] == {"pid": 7, "runs": True, "jobs": 3}
    clock.now += DEAF + 1
    assert (it.ready, it.live) == (False, True), "it says nothing, but perhaps it will"
    clock.now += DEAF
    assert (it.ready, it.live) == (False, False)


@pytest.mark.parametrize(
    ("members", "stopping"),
    [([], False), ([member(runs_since=None)], False), ([member(retiring=True)], False), ([member()], True)],
)
def test_before_and_while_it_ends_it_is_not(members: list[Any], stopping: bool) -> None:
    it, clock = health(*members, stopping=stopping)
    assert (it.ready, it.live) == (False, True)
    clock.now += 3 * DEAF
    assert it.live is stopping, "its end takes its time"


def test_one_that_is_started_again_and_again_in_vain_is_no_sign_of_life() -> None:
    it, clock = health()
    for _ in range(10):
        clock.now += DEAF / 4
        it._supervisor.members[:] = [member(heard=clock.now, runs_since=None)]
    assert not it.live


def test_pauses_grow_until_one_lasts() -> None:
    slot = Slot()
    assert [slot.pause(None) for _ in range(4)] == [0.5, 1, 2, 4]
    assert slot.pause(SOON) == 0
    assert [slot.pause(SOON - 1) for _ in range(40)][-1] == LONGEST_PAUSE
