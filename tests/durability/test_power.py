"""The power fails: what was not synced is missing, torn or out of order, and nothing confirmed is lost.

`POSTLUDE_IMAGES=10000` makes many more of them, `POSTLUDE_SEED` repeats a run.
"""

import os
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from postlude.stores.grouped.backend import Verb
from postlude.stores.sqlite.backend import SqliteBackend
from tests.durability.platter import DATABASE, FOLDER, WAL
from tests.durability.power import DRAINED, PowerLosses

IMAGES: Final = int(os.environ.get("POSTLUDE_IMAGES") or 0)
PATIENT: Final = 300
"""Images within which a mistake must show."""

pytestmark = [pytest.mark.slow, pytest.mark.durability]
if IMAGES:
    pytestmark.append(pytest.mark.timeout(0))


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("POSTLUDE_SEED") or random.SystemRandom().randrange(10**6))


def suffer(losses: PowerLosses, images: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Lose the power so many times; nothing may be wrong with what is left."""
    began = time.monotonic()
    wrong = [found.violated for found in losses.lose(images) if found.violated]
    with capsys.disabled():
        print(f"\n{losses}; {time.monotonic() - began:.0f} s", end="")  # noqa: T201
    assert not wrong, wrong[:5]
    figures = losses.figures
    assert figures["images"] == images
    assert figures["with writes in doubt"] > images / 2
    assert figures["different images"] > images / 2
    assert figures["checkpoints"] > 10 * figures["lives"]
    assert figures["drained"] >= images // DRAINED


def test_nothing_confirmed_is_lost(tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    losses = PowerLosses(tmp_path, seed)
    suffer(losses, IMAGES or 400, capsys)
    assert losses.figures["lost as documented"] == 0


def test_with_fewer_syncs_only_the_last_commits_may_be_lost(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    losses = PowerLosses(tmp_path, seed, synchronous="NORMAL", checkpointed=True)
    suffer(losses, IMAGES // 5 or 100, capsys)
    assert losses.figures["lost as documented"] > 0


@pytest.mark.parametrize(
    "synchronous, lie", [("NORMAL", None), ("OFF", None), ("FULL", WAL), ("FULL", DATABASE), ("FULL", FOLDER)]
)
def test_a_missing_sync_is_found(tmp_path: Path, seed: int, synchronous: str, lie: str | None) -> None:
    losses = PowerLosses(tmp_path, seed, synchronous=synchronous, lies=[lie] if lie else [])
    assert any(image.lost or image.damage for image in losses.lose(PATIENT)), f"nothing is lost: {losses}"


def test_a_group_that_is_written_in_pieces_is_found(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = SqliteBackend.apply

    def apply(self: SqliteBackend, verb: Verb, arguments: Sequence[Any]) -> list[Any]:
        answers = whole(self, verb, arguments)
        assert self.premises.db is not None
        assert self._tx is not None
        self._tx.finish()
        self._tx._deltas.clear()
        self.premises.db.execute("COMMIT")
        self.premises.db.execute("BEGIN IMMEDIATE")
        return answers

    monkeypatch.setattr(SqliteBackend, "apply", apply)
    losses = PowerLosses(tmp_path, seed)
    assert any(image.halves for image in losses.lose(PATIENT)), f"all groups are whole: {losses}"
