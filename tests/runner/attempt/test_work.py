"""What a claim makes of works that are known here."""

from postlude.model.job import Claim
from postlude.runner.attempt.work import Work


def works(count: int) -> list[Work]:
    return [Work(bytes([number]) * 16, f"t{number}", "default", b"", 1) for number in range(count)]


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
