"""What housekeeping says in the log."""

import pytest

from postlude.runner.housekeeping import told
from postlude.stores.values import Reaped


@pytest.mark.parametrize(
    ("reaped", "said"),
    [
        (Reaped(1, 0, 0), "1 process of the journal has died"),
        (
            Reaped(2, 3, 0),
            "2 processes of the journal have died; "
            "3 of their jobs run again, those that had started one at a time",
        ),
        (
            Reaped(1, 0, 1),
            "1 process of the journal has died; 1 of its jobs has failed: `postlude jobs --state failed`",
        ),
        (
            Reaped(1, 1, 2),
            "1 process of the journal has died; 1 of its jobs runs again; "
            "2 of its jobs have failed: `postlude jobs --state failed`",
        ),
    ],
)
def test_what_a_death_has_meant(reaped: Reaped, said: str) -> None:
    assert told(reaped) == said
