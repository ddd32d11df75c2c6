"""Groups that are written beside others' are answered as any, and take their turn where they cannot be."""

from typing import Any

import pytest

from postlude.errors import JournalUnavailable
from postlude.stores.grouped import committing
from postlude.stores.grouped.backend import Verb
from postlude.stores.grouped.writer import Writer
from tests.stores.scripted import PATIENCE, ScriptedBackend


@pytest.fixture(autouse=True)
def beside(backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committing, "PAUSE", 0.0)
    backend.beside_others = {Verb.FINISH, Verb.CLAIM}


def ask(writer: Writer, backend: ScriptedBackend, *calls: tuple[Verb, Any]) -> list[Any]:
    """Make calls in one group; return their answers."""
    backend.at_lock.close()
    replies = [writer.submit(*call) for call in calls]
    backend.at_lock.open()
    return [reply.wait(PATIENCE) for reply in replies]


ENDS_AND_CLAIMS = ((Verb.CLAIM, "a"), (Verb.FINISH, "b"), (Verb.CLAIM, "c"))
ANSWERS = [("done", "a"), ("done", "b"), ("done", "c")]


def test_a_group_of_its_verbs_takes_no_turn(writer: Writer, backend: ScriptedBackend) -> None:
    assert ask(writer, backend, *ENDS_AND_CLAIMS) == ANSWERS
    assert (backend.stored, backend.groups) == (["a", "b", "c"], [])
    assert backend.besides == [[Verb.CLAIM, Verb.FINISH, Verb.CLAIM]]


@pytest.mark.parametrize("place", [0, 1])
def test_with_another_verb_it_takes_its_turn(writer: Writer, backend: ScriptedBackend, place: int) -> None:
    calls = [(Verb.CLAIM, "a")]
    calls.insert(place, (Verb.CANCEL, "b"))
    assert sorted(ask(writer, backend, *calls)) == ANSWERS[:2]
    assert (backend.besides, len(backend.groups)) == ([], 1)


def test_where_the_backend_cannot_it_takes_its_turn(writer: Writer, backend: ScriptedBackend) -> None:
    backend.besides_left = 0
    assert ask(writer, backend, *ENDS_AND_CLAIMS) == ANSWERS
    assert len(backend.groups) == 1
    assert sorted(backend.stored) == ["a", "b", "c"]


def test_a_conflict_has_it_take_its_turn(writer: Writer, backend: ScriptedBackend) -> None:
    backend.conflicts = ["commit"]
    assert ask(writer, backend, *ENDS_AND_CLAIMS) == ANSWERS
    assert (len(backend.besides), len(backend.groups)) == (1, 1)
    assert sorted(backend.stored) == ["a", "b", "c"], "once"


@pytest.mark.parametrize("how", ["stored", "gone", "late"])
def test_what_its_lost_commit_has_become_is_asked(writer: Writer, backend: ScriptedBackend, how: str) -> None:
    backend.loses = [how]
    assert ask(writer, backend, *ENDS_AND_CLAIMS) == ANSWERS
    assert sorted(backend.stored) == ["a", "b", "c"], "once, and whole"
    assert backend.outcomes == [(["a", "b", "c"], how != "gone")]


def test_what_breaks_is_told_to_all(writer: Writer, backend: ScriptedBackend) -> None:
    backend.breaks = ["commit"]
    backend.at_lock.close()
    replies = [writer.submit(*call) for call in ENDS_AND_CLAIMS]
    backend.at_lock.open()
    for reply in replies:
        with pytest.raises(JournalUnavailable):
            reply.wait(PATIENCE)
    assert backend.stored == []
