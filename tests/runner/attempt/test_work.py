"""How works are told of in the log, and what a claim makes of those that are known here."""

from postlude.model.job import Claim
from postlude.runner.attempt.work import Work, counted


def works(count: int) -> list[Work]:
    return [Work(bytes([number]) * 16, f"t{number}", "default", b"", 1) for number in range(count)]


def test_few_are_all_named() -> None:
    two = works(2)
    assert counted(two) == f"2: {two[0]}, {two[1]}"


def test_of_many_the_first_ones() -> None:
    many = works(6)
    assert counted(many) == f"6 jobs, among them {', '.join(map(str, many[:5]))}"


def claim_of(work: Work, payload: bytes, created: int) -> Claim:
    return Claim(1, work.id, 1, work.name, work.queue, payload, 0, False, False, created)


def test_a_claim_of_what_waits_here_is_the_same_work() -> None:
    (known,) = works(1)
    known.args, known.kwargs = (7,), {}
    assert Work.of_claim(claim_of(known, b"", 1), known) is known
    assert known.args == (7,)


def test_one_that_another_call_has_replaced_meanwhile_runs_with_that_ones_arguments() -> None:
    (known,) = works(1)
    known.args, known.kwargs = (7,), {}
    work = Work.of_claim(claim_of(known, b"new", 5), known)
    assert work is known
    assert (work.payload, work.created, work.args) == (b"new", 5, None)
