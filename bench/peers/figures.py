"""What the tables say: medians, quartiles, when a difference is none, and what became of jobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from bench.peers.record import Seen


@dataclass(frozen=True, slots=True)
class Summary:
    """The rounds of one figure.

    Attributes:
        median: of them.
        low: the first quartile.
        high: the third.
        least: the smallest.
        most: the largest.
    """

    median: float
    low: float
    high: float
    least: float
    most: float

    @classmethod
    def of(cls, rounds: Sequence[float]) -> "Summary":
        """Sum up rounds, of which there is at least one."""
        if len(rounds) == 1:
            return cls(*(rounds[0],) * 5)
        low, _, high = quantiles(rounds, n=4, method="inclusive")
        return cls(median(rounds), low, high, min(rounds), max(rounds))


def times(rounds: Sequence[float], yardstick: Sequence[float]) -> float | None:
    """Return how many times the yardstick a figure is; None: there is no difference.

    There is none where the figure's median lies inside the yardstick's own range: from its lowest round to
    its highest. Else the median of the rounds' own ratios, since what the machine does meanwhile it does to
    both. With one round the range is a point, and everything differs.
    """
    own = Summary.of(yardstick)
    if own.least <= median(rounds) <= own.most:
        return None
    return median(one / other for one, other in zip(rounds, yardstick, strict=True))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of jobs.

    Attributes:
        accepted: jobs that were answered 2xx, or were in the store before the kill.
        lost: those that have not ended, and that the system does not hold any more.
        stuck: those that have not ended in the window, and that it still holds.
        again: those that were begun more than once.
        twice: those that were brought to their end more than once.
        seconds: from the kill to the last end, where none is lost or stuck.
    """

    accepted: int
    lost: int
    stuck: int
    again: int
    twice: int
    seconds: float | None

    @classmethod
    def of(cls, accepted: set[int], seen: Seen, left: int, killed: float) -> "Outcome":
        """Count them.

        Args:
            accepted: the jobs that must be done.
            seen: what was done.
            left: how many the system still holds.
            killed: when the kill was, by the clock of the record.
        """
        missing = sum(not seen.ends[number] for number in accepted)
        stuck = min(missing, left)
        return cls(
            len(accepted),
            missing - stuck,
            stuck,
            sum(count > 1 for count in seen.starts.values()),
            sum(count > 1 for count in seen.ends.values()),
            round(max(seen.ended, default=killed) - killed, 1) if not missing else None,
        )
