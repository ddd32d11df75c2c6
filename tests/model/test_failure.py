"""What failures are grouped by."""

import pytest

from postlude.model.failure import LONGEST, failure_by, failure_of, place_of
from postlude.model.outcome import Failed
from postlude.model.state import Reason

OWN = '  File "/srv/shop/app/mail.py", line 31, in send\n    connect()\n'
LIBRARY = '  File "/venv/lib/python3.12/site-packages/httpx/_client.py", line 7, in get\n    raise\n'
PYTHON = '  File "/usr/lib/python3.12/asyncio/tasks.py", line 9, in wait_for\n'
FROZEN = '  File "<frozen importlib>", line 2, in load\n'


@pytest.mark.parametrize(
    ("traceback", "place"),
    [
        (OWN, "shop/app/mail.py:31 in send"),
        (OWN + LIBRARY + PYTHON + FROZEN, "shop/app/mail.py:31 in send"),
        (OWN.replace("31", "1") + OWN, "shop/app/mail.py:31 in send"),
        ('  File "run.py", line 3\n', "run.py:3"),
        (LIBRARY + PYTHON, ""),
        ("ValueError: no", ""),
        ("", ""),
    ],
)
def test_the_place_is_the_last_of_the_applications_own(traceback: str, place: str) -> None:
    assert place_of(traceback) == place


def test_the_kind_is_the_class() -> None:
    assert failure_of(Failed("app.errors.Late: at 5: no", OWN)).kind == "app.errors.Late"
    assert failure_of(Failed("KeyboardInterrupt", OWN)).kind == "KeyboardInterrupt"
    assert len(failure_of(Failed("E" * 1000, OWN)).kind) == LONGEST


def test_what_no_attempt_has_told_is_grouped_by_its_reason() -> None:
    assert failure_by(Reason.KILLED) == ("killed", "")
    assert failure_by(None) == ("", "")
