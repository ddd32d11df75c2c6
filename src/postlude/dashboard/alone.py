"""Alone: the dashboard of a journal without its application, for who has started it."""

import secrets
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from postlude.config import Keep
from postlude.dashboard.access import RIGHTS, SEES, Access, ask_locally
from postlude.jobs.control import Control
from postlude.jobs.inspector import Inspector
from postlude.jobs.subscriptions import Hub
from postlude.stores.protocol import Pause, Store
from postlude.tasks.registry import Registry

TOKEN: Final = "token"
"""The parameter of the address that is printed."""


class Nothing:
    """What goes on in a process that runs no jobs."""

    hung_threads = 0
    memory_only = 0


class StoreDesk:
    """A journal that this process has open, and runs no jobs of.

    Args:
        store: the journal, open.
    """

    queues: Sequence[str] = ()
    counters = Nothing()

    def __init__(self, store: Store) -> None:
        self.store = store
        self.registry = Registry(strict=True)
        self.inspector = Inspector(store)
        self.hub = Hub(store)
        self.control = Control(store, self.opened, lambda id: None, _paused, self.registry, (), Keep())

    async def opened(self) -> None:
        """It is open."""


async def _paused(what: Sequence[Pause], paused: bool) -> None:
    """No runner of this process has to hear of it."""


class OneTimeToken:
    """Lets in who has the address that was printed, once; from then on, their browser.

    Other users of the machine reach the port too, and so does a page of another site whose name leads here:
    both have neither the token nor the cookie.

    Args:
        user: who has started the dashboard.
        port: where it is; cookies do not tell ports apart.
        acts: they may act, and not only look.
    """

    def __init__(self, user: str, port: int, *, acts: bool = True) -> None:
        self._user = user
        self._acts = acts
        self._cookie = f"postlude-{port}"
        self._session = secrets.token_urlsafe(32)
        self.token: str | None = secrets.token_urlsafe(24)
        """The token; None: it has been used."""

    async def __call__(self, request: Request) -> Access | Response | None:
        """Say who has sent a request."""
        if await ask_locally(request) is None:
            return None
        given = request.query_params.get(TOKEN)
        if given is not None and self.token is not None and _equal(given, self.token):
            self.token = None
            answer = RedirectResponse("/", 303)
            answer.set_cookie(self._cookie, self._session, httponly=True, samesite="strict", path="/")
            return answer
        if _equal(request.cookies.get(self._cookie, ""), self._session):
            return Access(self._user, SEES, RIGHTS if self._acts else frozenset())
        return None


def _equal(given: str, wanted: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
