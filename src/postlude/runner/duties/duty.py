"""What is done from time to time: one entry of a runner's list."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Duty:
    """Something that a runner does from time to time.

    Attributes:
        name: what it is called, among the leads of the journal too.
        run: does it; True: there is more to do, so that it is done again at once.
        every: seconds between; 0: whenever the runner looks around.
        first: seconds until it is done for the first time.
        led: whether one runner does it for all; see `postlude.stores.protocol.Claims.lead`. Not what has to
            be done on time: a leader whose loop hangs keeps its lead until that lapses.
        when: whether there is anything to do. Coroutines for nothing, several times a second, would cost a
            process that rests more than all else.
    """

    name: str
    run: Callable[[], Awaitable[bool | None]]
    every: float = 0.0
    first: float = 0.0
    led: bool = False
    when: Callable[[], bool] | None = None
