"""What the writer makes of requests from threads: groups, and an answer for each of them."""

import threading
from typing import Any

import pytest

from postlude.errors import JournalUnavailable
from postlude.stores.grouped.backend import Verb
from postlude.stores.grouped.writer import MAX_REQUESTS, MAX_ROWS, Writer
from tests.stores.scripted import PATIENCE, ScriptedBackend, written_by


def asked_together(writer: Writer, backend: ScriptedBackend, *asked: tuple[Verb, Any]) -> list[Any]:
    """Ask for all of these while another commit is under way; return each one's answer or error."""
    backend.at_commit.close()
    first = writer.submit(Verb.PRUNE, "first")
    backend.at_commit.reached()
    replies = [writer.submit(verb, argument) for verb, argument in asked]
    backend.at_commit.open()
    assert first.wait(PATIENCE) == ("done", "first")
    answers: list[Any] = []
    for reply in replies:
        try:
            answers.append(reply.wait(PATIENCE))
        except JournalUnavailable as error:
            answers.append(error)
    return answers


def test_one_write(writer: Writer, backend: ScriptedBackend) -> None:
    assert writer.submit(Verb.ADD, "a").wait(PATIENCE) == ("done", "a")
    assert backend.stored == ["a"]


def test_what_is_asked_during_a_commit_goes_together(writer: Writer, backend: ScriptedBackend) -> None:
    answers = asked_together(writer, backend, (Verb.ADD, "a"), (Verb.ADD, "b"), (Verb.ADD, "c"))
    assert answers == [("done", "a"), ("done", "b"), ("done", "c")]
    assert backend.groups[1:] == [[(Verb.ADD, ["a", "b", "c"])]]


def test_finishes_come_before_claims_and_claims_before_adds(writer: Writer, backend: ScriptedBackend) -> None:
    backend.at_lock.close()
    asked = [(Verb.ADD, "a"), (Verb.CLAIM, "c"), (Verb.FINISH, "f"), (Verb.ADD, "b")]
    replies = [writer.submit(verb, argument) for verb, argument in asked]
    backend.at_lock.open()
    answers = [reply.wait(PATIENCE) for reply in replies]
    assert answers == [("done", "a"), ("done", "c"), ("done", "f"), ("done", "b")]
    assert backend.groups == [[(Verb.FINISH, ["f"]), (Verb.CLAIM, ["c"]), (Verb.ADD, ["a", "b"])]]


def test_a_group_has_so_many_requests_at_most(writer: Writer, backend: ScriptedBackend) -> None:
    backend.at_lock.close()
    replies = [writer.submit(Verb.ADD, number) for number in range(MAX_REQUESTS + 1)]
    backend.at_lock.open()
    assert [reply.wait(PATIENCE)[1] for reply in replies] == list(range(MAX_REQUESTS + 1))
    assert [len(group[0][1]) for group in backend.groups] == [MAX_REQUESTS, 1]


def test_a_group_has_so_many_rows_at_most(writer: Writer, backend: ScriptedBackend) -> None:
    backend.at_lock.close()
    replies = [writer.submit(Verb.ADD, number, rows=MAX_ROWS // 2) for number in range(3)]
    backend.at_lock.open()
    assert [reply.wait(PATIENCE)[1] for reply in replies] == [0, 1, 2]
    assert [group[0][1] for group in backend.groups] == [[0, 1], [2]]


def test_a_request_that_fails_leaves_its_neighbours_alone(writer: Writer, backend: ScriptedBackend) -> None:
    backend.poison = "bad"
    a, bad, b = asked_together(writer, backend, (Verb.ADD, "a"), (Verb.ADD, "bad"), (Verb.CANCEL, "b"))
    assert (a, b) == (("done", "a"), ("done", "b"))
    assert isinstance(bad, JournalUnavailable)
    assert isinstance(bad.__cause__, ValueError)
    assert backend.stored == ["first", "a", "b"]


def test_what_has_been_repaired_is_tried_again(writer: Writer, backend: ScriptedBackend) -> None:
    errors = list[Exception]()

    def repair(error: Exception) -> bool:
        errors.append(error)
        backend.poison = None
        return True

    backend.poison = "bad"
    backend.repair = repair  # type: ignore[method-assign]
    answers = asked_together(writer, backend, (Verb.ADD, "a"), (Verb.ADD, "bad"), (Verb.ADD, "b"))
    assert answers == [("done", "a"), ("done", "bad"), ("done", "b")]
    assert [str(error) for error in errors] == ["bad cannot be applied"]


def test_an_error_of_our_own_is_told_as_it_is(writer: Writer, backend: ScriptedBackend) -> None:
    refusal = JournalUnavailable("in the backend's own words")

    def refuse(verb: Verb, arguments: Any) -> list[Any]:
        raise refusal

    backend.apply = refuse  # type: ignore[method-assign]
    with pytest.raises(JournalUnavailable) as caught:
        writer.submit(Verb.ADD, "a").wait(PATIENCE)
    assert caught.value is refusal


@pytest.mark.parametrize("place", ["begin", "apply", "commit"])
def test_a_broken_connection_fails_the_group_and_the_next_works(
    writer: Writer, backend: ScriptedBackend, place: str
) -> None:
    backend.at_lock.close()
    backend.breaks = [place]
    replies = [writer.submit(Verb.ADD, argument) for argument in ("a", "b")]
    backend.at_lock.open()
    for reply in replies:
        with pytest.raises(JournalUnavailable, match=f"at {place}"):
            reply.wait(PATIENCE)
    assert writer.submit(Verb.ADD, "c").wait(PATIENCE) == ("done", "c")
    assert backend.stored == ["c"]


def test_a_connection_that_breaks_while_a_group_is_replayed(writer: Writer, backend: ScriptedBackend) -> None:
    backend.poison = "bad"
    backend.at_lock.close()
    replies = [writer.submit(Verb.ADD, argument) for argument in ("a", "bad", "b", "c")]
    committed = backend.commit

    def commit() -> None:
        committed()
        backend.breaks = ["begin"]  # the first that is replayed is stored, and then it breaks

    backend.commit = commit  # type: ignore[method-assign]
    backend.at_lock.open()
    assert replies[0].wait(PATIENCE) == ("done", "a")
    for reply in replies[1:]:
        with pytest.raises(JournalUnavailable):
            reply.wait(PATIENCE)
    assert backend.stored == ["a"]


def test_a_locked_database_is_tried_again(writer: Writer, backend: ScriptedBackend) -> None:
    backend.busy = 3
    assert writer.submit(Verb.ADD, "a").wait(PATIENCE) == ("done", "a")
    assert backend.stored == ["a"]


def test_what_waits_for_a_locked_database_can_be_withdrawn(writer: Writer, backend: ScriptedBackend) -> None:
    backend.at_begin.close()
    backend.busy = 1
    kept, withdrawn = writer.submit(Verb.ADD, "kept"), writer.submit(Verb.ADD, "withdrawn")
    backend.at_begin.reached()
    assert withdrawn.withdraw() is True
    assert withdrawn.withdraw() is False, "only once"
    backend.at_begin.open()
    assert kept.wait(PATIENCE) == ("done", "kept")
    assert backend.stored == ["kept"]


def test_what_is_being_committed_cannot_be_withdrawn(writer: Writer, backend: ScriptedBackend) -> None:
    backend.at_commit.close()
    reply = writer.submit(Verb.ADD, "a")
    backend.at_commit.reached()
    assert reply.withdraw() is False
    backend.at_commit.open()
    assert reply.wait(PATIENCE) == ("done", "a")


def test_a_thread_does_not_wait_for_ever(writer: Writer, backend: ScriptedBackend) -> None:
    backend.at_commit.close()
    reply = writer.submit(Verb.ADD, "a")
    with pytest.raises(TimeoutError):
        reply.wait(0.01)
    backend.at_commit.open()
    assert reply.wait(PATIENCE) == ("done", "a")


def test_the_lock_is_given_back_after_every_group(writer: Writer, backend: ScriptedBackend) -> None:
    backend.breaks = ["commit"]
    with pytest.raises(JournalUnavailable):
        writer.submit(Verb.ADD, "a").wait(PATIENCE)
    backend.at_lock.close()
    writer.submit(Verb.ADD, "b")
    backend.at_lock.reached()
    assert backend.locked is False


def test_stopping_writes_what_was_asked_and_refuses_the_rest(backend: ScriptedBackend) -> None:
    writer = Writer(backend, "writer-under-test")
    backend.at_lock.close()
    replies = [writer.submit(Verb.ADD, argument) for argument in ("a", "b")]
    threading.Thread(target=backend.at_lock.open).start()
    assert writer.stop(PATIENCE)
    assert [reply.wait(0) for reply in replies] == [("done", "a"), ("done", "b")]
    assert backend.closed
    with pytest.raises(JournalUnavailable, match="closed"):
        writer.submit(Verb.ADD, "c").wait(0)


def test_a_writer_that_hangs_does_not_hang_who_stops_it(backend: ScriptedBackend) -> None:
    with written_by(backend) as writer:
        backend.at_commit.close()
        writer.submit(Verb.ADD, "a")
        backend.at_commit.reached()
        assert writer.stop(0.01) is False


def test_what_comes_while_the_writer_ends_is_answered(backend: ScriptedBackend) -> None:
    """A loop may hand over at the very moment at which another thread closes the journal."""
    writer = Writer(backend, "writer-under-test")
    closing, may_close = threading.Event(), threading.Event()

    def close() -> None:
        closing.set()
        assert may_close.wait(PATIENCE)

    backend.close = close  # type: ignore[method-assign]
    stopping = threading.Thread(target=writer.stop, args=(PATIENCE,))
    stopping.start()
    assert closing.wait(PATIENCE)
    writer._stopping = False  # who asked had looked just before
    reply = writer.submit(Verb.ADD, "late")
    may_close.set()
    stopping.join(PATIENCE)
    with pytest.raises(JournalUnavailable, match="closed"):
        reply.wait(0)


def test_what_comes_behind_the_word_to_stop_is_answered(backend: ScriptedBackend) -> None:
    writer = Writer(backend, "writer-under-test")
    backend.at_commit.close()
    first = writer.submit(Verb.ADD, "first")
    backend.at_commit.reached()
    assert writer.stop(0.01) is False
    writer._stopping = False  # who asked had looked just before
    reply = writer.submit(Verb.ADD, "late")
    backend.at_commit.open()
    assert first.wait(PATIENCE) == ("done", "first")
    with pytest.raises(JournalUnavailable, match="closed"):
        reply.wait(PATIENCE)
    assert backend.stored == ["first"]
    assert writer.stop(PATIENCE)


def test_who_has_asked_does_not_wait_for_what_is_tidied(writer: Writer, backend: ScriptedBackend) -> None:
    backend.at_tidy.close()
    assert writer.submit(Verb.ADD, "a").wait(PATIENCE) == ("done", "a")
    backend.at_tidy.reached()
    behind = writer.submit(Verb.ADD, "b")
    assert backend.stored == ["a"]
    backend.at_tidy.open()
    assert behind.wait(PATIENCE) == ("done", "b")
