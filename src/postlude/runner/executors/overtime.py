"""An attempt whose time is over: what its function does from then on does not count."""

from postlude.jobs.current import CURRENT


class Overtime(TimeoutError):
    """The function returned after its time was over."""


def refuse_late() -> None:
    """Let a function whose time was over before it returned end as one that has failed.

    It may have swallowed its cancellation, or have kept its loop from noticing. What its dependencies
    have opened must not be committed.

    Raises:
        Overtime: it was.
    """
    current = CURRENT.get()
    if current is not None and current.is_late:
        raise Overtime("the function returned after its time was over, so its attempt does not count")
