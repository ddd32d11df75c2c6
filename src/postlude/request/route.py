"""Watching a route: a receipt for each of its requests that the middleware has marked."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from postlude.compat import is_async_callable
from postlude.enqueue.port import Port
from postlude.errors import WaitsForItself
from postlude.request.asgi_scope import Facts
from postlude.request.background import CURRENT, Collected
from postlude.request.calls import Around, choose
from postlude.request.passthrough import OFF_KEY, PASSING, Passing
from postlude.request.receipt import Receipt
from postlude.request.responses import point_to

SCOPE_KEY: Final = "postlude"
"""Where the middleware puts the `Port` of the application in an ASGI scope."""


def answer(
    function: Callable[..., Any], around: Around = Around.NOTHING
) -> Callable[[Request], Awaitable[Any]]:
    """Return a handler that gives a receipt in place of the response of `function`.

    Args:
        around: what `function` does with the endpoint's calls.
    """
    direct, unseen = around is Around.NOTHING, around is Around.UNSEEN
    call = function if is_async_callable(function) else functools.partial(run_in_threadpool, function)

    async def handler(request: Request) -> Any:
        receipt: Receipt | None = CURRENT.get()
        if receipt is None:
            return _pointing(await call(request))
        if not direct:
            receipt.calls, receipt.unseen = None if unseen else [], unseen
        try:
            response = await call(request)
        except Exception:
            if receipt.injected is not None or receipt.dropped is not None:
                await receipt.fail()
            raise
        if not direct:
            choose(receipt, response)
            if receipt.dropped is not None:
                await receipt.store_what_failed()
        if receipt.injected is None and getattr(response, "background", None) is None:
            return response
        receipt.response = response
        return receipt

    return handler


def _pointing(response: Any) -> Any:
    """Return a response that nothing watches; `accepted` points to the job's state all the same."""
    passing: Passing | None = PASSING.get()
    if passing is not None and passing.accepted is not None:
        point_to(passing.accepted, passing.scope, response)
    return response


def track(app: ASGIApp, *, shared: bool = False, stack: str | None = None) -> ASGIApp:
    """Return an ASGI application that keeps a `Receipt` while `app` handles a marked request.

    Args:
        app: handles one route.
        shared: the application serves several routes, so what is known of one says nothing of another.
        stack: see `Facts`.
    """
    facts = None if shared else Facts(stack)

    async def tracked(scope: Scope, receive: Receive, send: Send) -> None:
        port: Port | None = scope.get(SCOPE_KEY)
        if port is None:
            # Called from inside a marked request, another application must not see that one's receipt.
            token = CURRENT.set(None)
            off = scope.get(OFF_KEY)
            token_off = PASSING.set(None if off is None else Passing(off, scope, facts))
            try:
                await app(scope, receive, send)
            finally:
                CURRENT.reset(token)
                PASSING.reset(token_off)
            return
        receipt = Receipt(port, scope, facts)
        token = CURRENT.set(receipt)
        cancelled = True
        try:
            await app(scope, receive, send)
            if receipt.held:
                await receipt.send(None, scope, receive, send)
            cancelled = False
        except Exception:
            cancelled = False
            raise
        finally:
            CURRENT.reset(token)
            used = receipt.injected is not None or receipt.committed is not None or receipt.own is not None
            if used and not receipt.end_at_once():
                await receipt.end(cancelled=cancelled)

    tracked.__dict__[SCOPE_KEY] = True
    return tracked


def is_tracked(app: Any) -> bool:
    """Return whether `app` came from `track`."""
    return getattr(app, "__dict__", {}).get(SCOPE_KEY) is True


def unstored(id: bytes) -> bool:
    """Return whether the request that runs here may be about to store the job with this id.

    Raises:
        WaitsForItself: it has added the job, and stores it when it has succeeded.
    """
    receipt: Receipt | None = CURRENT.get()
    if receipt is None:
        return False
    for task in list(receipt.injected.tasks if receipt.injected is not None else ()):
        prepared = task.prepared if isinstance(task, Collected) and task.collector is receipt else None
        if prepared is not None and prepared.job.raw_id == id:
            raise WaitsForItself(
                f"job {prepared.job.id} is stored when its request has succeeded, and starts after the "
                "response: here it would wait for itself. Return its id and ask in another request, or use "
                "`await postlude.add_task(...)`, which stores at once."
            )
    return not receipt.answered and not receipt.over
