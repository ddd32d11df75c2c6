"""The order of a request's plain functions: which job waits for which, and for a task in memory."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from postlude.clock import SECOND
from postlude.model.job import NewJob
from postlude.runner.attempt.work import Work
from postlude.runner.turn import Turn


class Placed(NamedTuple):
    """A job in its place."""

    work: Work
    links: int = 0
    """How many jobs and tasks in memory come before it and are waited for."""
    held: bool = False
    """A task in memory comes right before it."""


ALONE: Final = 1


def in_order(items: Sequence[Work | Turn], after: Work | None = None) -> list[Placed]:
    """Link plain functions of one queue, each to the one after it, and put them side by side.

    A task in memory stands between those before it and those after it, whatever their queues. Declared
    tasks wait for nobody, and nobody waits for them; what is delivered at most once is in no chain.

    Args:
        items: of one request, in the order in which they were added.
        after: the last plain job of the request that was stored before these.
    """
    if len(items) == 1 and isinstance(items[0], Work):
        return [Placed(items[0])]
    segments: list[tuple[Turn | None, list[Work]]] = [(None, [])]
    beside: list[Placed] = []
    last = after
    for item in items:
        if isinstance(item, Turn):
            item.before = last
            segments.append((item, item.works))
        elif item.concurrent:
            beside.append(Placed(item))
        else:
            segments[-1][1].append(item)
            last = item
    placed: list[Placed] = []
    links = 0
    for turn, works in segments:
        chains = _chains(works)
        links += turn is not None
        for chain in chains:
            for before, behind in pairwise(chain):
                before.follower = behind
            placed += [
                Placed(work, links + place, turn is not None and place == 0)
                for place, work in enumerate(chain)
            ]
        if turn is not None:
            turn.heads = [chain[0] for chain in chains]
        links += max(map(len, chains), default=0)
    return placed + beside


def _chains(works: Sequence[Work]) -> list[list[Work]]:
    chains: dict[str, list[Work]] = {}
    alone: list[list[Work]] = []
    for work in works:
        if work.once:
            alone.append([work])
        else:
            chains.setdefault(work.queue, []).append(work)
    return [*chains.values(), *alone]


def chain(works: Sequence[Work]) -> None:
    """Make one chain of what a request has stored at several times, and runs itself."""
    for plain in _chains([work for work in works if work.fence and not work.concurrent]):
        for before, behind in pairwise(plain):
            if before.follower is None:
                before.follower = behind


def new_jobs(placed: Sequence[Placed], patience: float) -> list[NewJob]:
    """Return what the journal is given of jobs.

    Args:
        patience: seconds that each waits at most for the one before it, once that could start.
    """
    jobs: list[NewJob] = []
    wait = round(patience * SECOND)
    followers = {work.follower for work, _, _ in placed}
    for work, links, held in placed:
        follows = work in followers
        due = work.created + links * wait if follows or held else None
        jobs.append(work.new_job(follows, due, held))
    return jobs
