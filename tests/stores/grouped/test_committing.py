"""Whatever becomes of a group's commit, each of its callers is told the truth."""

import asyncio
import threading
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postlude.errors import JournalUnavailable
from postlude.stores.grouped import committing
from postlude.stores.grouped.backend import CommitFailed, Uncertain, Verb
from postlude.stores.grouped.batching import Request
from postlude.stores.grouped.committing import TRIES
from postlude.stores.grouped.writer import Writer
from tests.stores.scripted import PATIENCE, ScriptedBackend, reached, told, written_by


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committing, "PAUSE", 0.0)


def ask(writer: Writer, backend: ScriptedBackend, *arguments: str) -> list[Any]:
    """Ask for adds in one group; return each one's answer or error."""
    backend.at_lock.close()
    replies = [writer.submit(Verb.ADD, argument) for argument in arguments]
    backend.at_lock.open()
    answers: list[Any] = []
    for reply in replies:
        try:
            answers.append(reply.wait(PATIENCE))
        except JournalUnavailable as error:
            answers.append(error)
    return answers


@pytest.mark.parametrize("how", ["stored", "gone", "late"])
def test_what_a_lost_commit_has_become_is_asked(writer: Writer, backend: ScriptedBackend, how: str) -> None:
    backend.loses = [how]
    assert ask(writer, backend, "a", "b") == [("done", "a"), ("done", "b")]
    assert backend.stored == ["a", "b"], "once, and whole"
    assert len(backend.groups) == 2, "what was not there was written by the transaction that asked"
    assert [len(group) for group in backend.groups] == [1, 1 if how == "gone" else 0]


def test_it_is_asked_until_somebody_knows(writer: Writer, backend: ScriptedBackend) -> None:
    backend.loses, backend.silent = ["stored"], 7
    assert ask(writer, backend, "a") == [("done", "a")]
    assert backend.stored == ["a"]


def test_a_connection_that_cannot_be_had_is_asked_for_again(writer: Writer, backend: ScriptedBackend) -> None:
    backend.loses, backend.breaks = ["late"], ["begin"] * 3
    lost = backend._lose

    def lose(how: str, error: type[CommitFailed | Uncertain]) -> None:
        backend.breaks = ["begin"] * 3
        lost(how, error)

    backend.breaks, backend._lose = [], lose  # type: ignore[method-assign]
    assert ask(writer, backend, "a") == [("done", "a")]
    assert backend.stored == ["a"]


def test_commits_that_are_always_lost(writer: Writer, backend: ScriptedBackend) -> None:
    backend.loses = ["gone"] * TRIES
    (answer,) = ask(writer, backend, "a")
    assert "did not take the write" in str(answer)
    assert ask(writer, backend, "b") == [("done", "b")]
    assert (backend.stored, backend.disowned) == (["b"], [])


@pytest.mark.parametrize("how", ["stored", "gone", "late"])
def test_what_nobody_knows_is_settled_before_the_next_group(
    writer: Writer, backend: ScriptedBackend, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "SETTLE_WITHIN", 0.0)
    backend.loses, backend.silent = [how], 2
    answers = ask(writer, backend, "a", "b")
    assert all("it is not known" in str(answer) for answer in answers)
    backend.silent = 0
    assert ask(writer, backend, "c") == [("done", "c")]
    assert backend.disowned == ([] if how == "gone" else [("done", "a"), ("done", "b")])


def test_what_is_still_not_known_holds_up_nobody(
    writer: Writer, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "SETTLE_WITHIN", 0.0)
    backend.loses, backend.silent = ["stored"], 4
    assert "it is not known" in str(ask(writer, backend, "a"))
    assert ask(writer, backend, "b") == [("done", "b")]
    assert backend.disowned == []
    backend.silent = 0
    assert ask(writer, backend, "c") == [("done", "c")]
    assert backend.disowned == [("done", "a")]


def test_a_commit_that_has_failed_is_told_at_once(writer: Writer, backend: ScriptedBackend) -> None:
    backend.fails = ["gone"]
    answers = ask(writer, backend, "a", "b")
    assert all("did not take the write" in str(answer) for answer in answers)
    assert len(backend.groups) == 1, "it was neither asked after nor tried again meanwhile"
    assert ask(writer, backend, "c") == [("done", "c")]
    assert (backend.stored, backend.disowned) == (["c"], [])


def test_what_has_failed_and_is_there_after_all_is_cancelled(
    writer: Writer, backend: ScriptedBackend
) -> None:
    backend.fails = ["late"]
    assert all(isinstance(answer, JournalUnavailable) for answer in ask(writer, backend, "a", "b"))
    assert ask(writer, backend, "c") == [("done", "c")]
    assert backend.disowned == [("done", "a"), ("done", "b")]


def test_what_cannot_be_cancelled_now_is_cancelled_later(writer: Writer, backend: ScriptedBackend) -> None:
    backend.fails, backend.cannot_disown = ["late"], 2
    ask(writer, backend, "a")
    for argument in ("b", "c", "d"):
        assert ask(writer, backend, argument) == [("done", argument)]
    assert backend.disowned == [("done", "a")]


def test_the_backend_is_told_of_each_group_by_itself(
    writer: Writer, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two are in doubt at once: what was to be done with one's outcome must not be done with the other's."""
    monkeypatch.setattr(committing, "SETTLE_WITHIN", 0.0)
    backend.loses, backend.silent = ["stored", "gone"], 5
    ask(writer, backend, "a")
    ask(writer, backend, "b")
    assert backend.outcomes == []
    backend.silent = 0
    ask(writer, backend, "c")
    assert backend.outcomes == [(["a"], True), (["b"], False)]


def test_leases_outlast_what_is_asked_after(writer: Writer, backend: ScriptedBackend) -> None:
    """Meanwhile none is renewed: a runner would be buried that lives."""
    writer.mind(0.0)
    backend.loses, backend.silent = ["stored"], 1_000_000
    assert "it is not known" in str(ask(writer, backend, "a"))
    backend.silent = 0


def test_commits_that_are_lost_for_long_are_not_tried_five_times(
    writer: Writer, backend: ScriptedBackend
) -> None:
    writer.mind(0.0)
    backend.loses = ["gone"] * TRIES
    assert "did not take the write" in str(ask(writer, backend, "a"))
    assert len(backend.loses) == TRIES - 1


@pytest.mark.anyio
async def test_who_gave_up_while_it_was_asked_is_disowned(writer: Writer, backend: ScriptedBackend) -> None:
    backend.loses = ["stored"]
    backend.at_commit.close()
    reply = writer.submit(Verb.ADD, "a", budget=60.0)
    await reached(backend.at_commit)
    assert isinstance(reply, Request)
    reply.due = 0.0
    writer._gate_of(asyncio.get_running_loop())._look()
    await told(reply)
    backend.at_commit.open()
    await writer.submit(Verb.ADD, "b")
    assert backend.disowned == [("done", "a")]


@pytest.mark.parametrize("place", ["apply", "commit"])
@pytest.mark.parametrize("times", [1, TRIES - 1])
def test_a_deadlock_tries_the_whole_group_again(
    writer: Writer, backend: ScriptedBackend, place: str, times: int
) -> None:
    backend.conflicts = [place] * times
    assert ask(writer, backend, "a", "b", "c") == [("done", "a"), ("done", "b"), ("done", "c")]
    assert backend.stored == ["a", "b", "c"]
    assert backend.groups[-1] == [(Verb.ADD, ["a", "b", "c"])]
    assert len(backend.groups) == times + 1, "not each by itself"


def test_conflicts_that_do_not_end(writer: Writer, backend: ScriptedBackend) -> None:
    backend.conflicts = ["commit"] * TRIES
    answers = ask(writer, backend, "a", "b")
    assert all("deadlock detected" in str(answer) for answer in answers)
    assert len(backend.groups) == TRIES
    assert ask(writer, backend, "c") == [("done", "c")]
    assert backend.stored == ["c"]


def test_one_that_cannot_be_applied_is_found_after_a_conflict(
    writer: Writer, backend: ScriptedBackend
) -> None:
    backend.conflicts, backend.poison = ["apply"], "bad"
    a, bad, b = ask(writer, backend, "a", "bad", "b")
    assert (a, b) == (("done", "a"), ("done", "b"))
    assert isinstance(bad, JournalUnavailable)
    assert backend.stored == ["a", "b"]


def test_the_lock_is_given_to_others_between_tries(
    writer: Writer, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked: list[bool] = []
    monkeypatch.setattr(time, "sleep", lambda seconds: locked.append(backend.locked))
    backend.conflicts, backend.loses, backend.silent = ["commit"], ["stored"], 1
    ask(writer, backend, "a")
    assert locked == [False, False]


FAULTS = st.fixed_dictionaries(
    {
        "breaks": st.lists(st.sampled_from(["begin", "apply", "commit"]), max_size=2),
        "conflicts": st.lists(st.sampled_from(["begin", "apply", "commit"]), max_size=TRIES + 1),
        "loses": st.lists(st.sampled_from(["stored", "gone", "late"]), max_size=TRIES + 1),
        "fails": st.lists(st.sampled_from(["gone", "late"]), max_size=1),
        "silent": st.integers(min_value=0, max_value=4),
        "cannot_disown": st.integers(min_value=0, max_value=1),
    }
)


@settings(deadline=None)
@given(groups=st.lists(st.tuples(FAULTS, st.integers(1, 3), st.booleans()), min_size=1, max_size=4))
def test_every_answer_is_true(groups: list[tuple[dict[str, Any], int, bool]]) -> None:
    """Told that it is stored: it is, once. Told otherwise: it is not, or was cancelled before long."""
    backend, answers = ScriptedBackend(), dict[str, Any]()
    before = committing.SETTLE_WITHIN
    with written_by(backend) as writer:
        try:
            for number, (faults, jobs, poisoned) in enumerate(groups):
                vars(backend).update(
                    {name: list(v) if isinstance(v, list) else v for name, v in faults.items()}
                )
                committing.SETTLE_WITHIN = 0.0 if number % 2 else before  # type: ignore[misc]
                asked = [f"{number}-{job}" for job in range(jobs)]
                backend.poison = asked[0] if poisoned else None
                answers.update(zip(asked, ask(writer, backend, *asked), strict=True))
        finally:
            committing.SETTLE_WITHIN = before  # type: ignore[misc]
        backend.breaks, backend.conflicts, backend.loses, backend.silent = [], [], [], 0
        backend.fails, backend.cannot_disown = [], 0
        assert ask(writer, backend, "last") == [("done", "last")]
    stored, disowned = Counter(backend.stored), {argument for _, argument in backend.disowned}
    for argument, answer in answers.items():
        if answer == ("done", argument):
            assert stored[argument] == 1
            assert argument not in disowned
        else:
            assert isinstance(answer, JournalUnavailable)
            assert stored[argument] == (argument in disowned)


def test_who_wants_to_know_is_told_right_before_each_commit() -> None:
    backend, told_of = ScriptedBackend(), list[str]()
    calls = [lambda: told_of.append(threading.current_thread().name)]
    writer = Writer(backend, "writer-under-test", told=calls)
    try:
        backend.at_commit.close()
        reply = writer.submit(Verb.ADD, "a")
        backend.at_commit.reached()
        assert told_of == ["writer-under-test"]
        backend.at_commit.open()
        assert reply.wait(PATIENCE) == ("done", "a")
        assert writer.submit(Verb.ADD, "b").wait(PATIENCE) == ("done", "b")
        assert len(told_of) == 2
        calls.clear()
        assert writer.submit(Verb.ADD, "c").wait(PATIENCE) == ("done", "c")
        assert len(told_of) == 2
    finally:
        backend.at_commit.open()
        assert writer.stop(PATIENCE)
