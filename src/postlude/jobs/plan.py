"""Plans: what is to be done, and to which jobs, before anybody has said yes."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from postlude.jobs.bulk import PIECE, Act, Acted, Asked
from postlude.model.job import Found
from postlude.model.state import State


@dataclass
class Plan:
    """What is to be done, and to which jobs: fixed when it is made, so later jobs are not caught.

    Attributes:
        act: what.
        jobs: to which; newest first.
        skipped: how many more are meant, in each state that the act can do nothing with.
    """

    act: Act
    jobs: list[Found]
    skipped: Counter[State]

    @classmethod
    def of(cls, act: Act, found: Iterable[Found]) -> "Plan":
        """Sort jobs by whether something can be done with them."""
        jobs: list[Found] = []
        skipped = Counter[State]()
        for one in found:
            if one.state in act.states:
                jobs.append(one)
            else:
                skipped[one.state] += 1
        return cls(act, jobs, skipped)

    def carry_out(
        self, store: Asked, acted: Acted, stopped: Callable[[], bool], told: Callable[[int], None]
    ) -> None:
        """Do it in pieces, each durable when the next begins. Blocks.

        Args:
            store: the journal, with who answers for it.
            acted: what became of the jobs is counted there, piece by piece.
            stopped: whether to leave the rest alone; asked before each piece.
            told: called after each piece, with how many jobs it had.

        Raises:
            JournalUnavailable: the journal cannot be written now.
        """
        for start in range(0, len(self.jobs), PIECE):
            if stopped():
                return
            piece = [job.id for job in self.jobs[start : start + PIECE]]
            self.act(store, piece, acted)
            told(len(piece))
