"""How much of what people ask is done: what an audit line is made of."""

from typing import Any, NamedTuple

from postlude.model.job import Added, Cancel


class Numbers(NamedTuple):
    """How many it was done to, and how many it was not."""

    done: int
    not_done: int


def numbers_of(answer: Any) -> Numbers:
    """Return what the answer of a verb comes to that people ask for."""
    if type(answer) is bool:
        return Numbers(int(answer), int(not answer))
    if answer is None or isinstance(answer, Added):
        return Numbers(int(answer is not None), int(answer is None))
    if isinstance(answer, int):
        return Numbers(answer, 0)
    done = sum(_is_done(one) for one in answer)
    return Numbers(done, len(answer) - done)


def _is_done(answer: Any) -> bool:
    if isinstance(answer, Cancel):
        return answer is not Cancel.TOO_LATE
    return answer is True or isinstance(answer, Added)
