"""A poll that waits: the answer comes when the job has ended, or after a time (RFC 7240, `wait`)."""

import re
from collections.abc import Iterable
from typing import Final

from starlette.requests import Request

from postlude.jobs.subscriptions import Subscription
from postlude.web.sockets import sockets_of

LONGEST: Final = 60
"""Seconds that a request waits at most, whatever it prefers: proxies cut longer silences."""

TICK: Final = 0.5
"""Seconds between looks whether the client has gone, or the server is about to stop."""

_WAIT: Final = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,9})\"?\s*(?=[,;]|$)", re.IGNORECASE)


def preferred_wait(headers: Iterable[str]) -> int | None:
    """Return for how many seconds a client prefers to wait; None: it does not say.

    Args:
        headers: the values of its `Prefer` headers; the first that says so counts.
    """
    found = _WAIT.search(",".join(headers))
    return None if found is None else min(LONGEST, int(found[1]))


async def wait_for_end(subscription: Subscription, request: Request, seconds: float) -> None:
    """Return when a job has ended, the time is over, the client has gone, or the server stops.

    Args:
        subscription: to the job; not entered yet.
        request: of whoever waits.
        seconds: how long.
    """
    left, server = seconds, sockets_of(request.scope)
    with subscription:
        while left > 0 and not server.closed and not await request.is_disconnected():
            record = await subscription.news(within=min(TICK, left))
            if record is None:
                left -= TICK
            elif record.stored.final:
                return
