"""The dashboard's application: who asks, what for, and the headers of all answers."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from postlude.dashboard.access import Access, Ask, NoAccess, access_of
from postlude.dashboard.actions import again, bulk, holding, watching
from postlude.dashboard.actions.form import BadForm, NotAllowed
from postlude.dashboard.actions.operations import Operations
from postlude.dashboard.assets import Assets
from postlude.dashboard.desk import Desk
from postlude.dashboard.live import Pulse
from postlude.dashboard.pages import audit, failures, job, jobs, now, processes, schedules, tasks
from postlude.dashboard.security import HEADERS, NO_STORE, ForeignRequest, refuse_foreign
from postlude.dashboard.site import Look, Visit
from postlude.dashboard.templating import prepare
from postlude.dashboard.words import date_of
from postlude.errors import JobNotFound, JournalUnavailable, PostludeError

Page = Callable[[Visit], Awaitable[Response]]

PAGES: Final[Mapping[str, Page]] = {
    "/": now.page,
    "/failures": failures.page,
    "/failures/group": failures.group,
    "/jobs": jobs.page,
    "/tasks": tasks.page,
    "/tasks/one": tasks.one,
    "/schedules": schedules.page,
    "/processes": processes.page,
    "/audit": audit.page,
    "/jobs/again": again.page,
    "/operation": watching.page,
    "/act": bulk.shown,
}
"""By path. Names stand behind `?`: one with `/`, `.` or `%` in it is no path that all servers pass on."""

ACTIONS: Final[Mapping[str, Page]] = {
    "/act": bulk.act,
    "/act/confirm": bulk.confirm,
    "/operation/stop": watching.stop,
    "/pause": holding.pause,
    "/resume": holding.resume,
    "/schedules/pause": holding.pause_schedule,
    "/schedules/resume": holding.resume_schedule,
    "/schedules/run": holding.run_schedule,
    "/jobs/again": again.again,
}
"""What is sent by POST."""

_SHOWN: Final = frozenset({"/act"})
"""Pages that offer to do what their address says: no other site may send people there."""

_CODES: Final = ((NotAllowed, 403), (BadForm, 400))

POLL: Final = "Postlude-Poll"
"""The header that says in how many seconds a page should ask again."""

_OWN: Final = ("etag", "refresh")
"""Headers that pages set themselves."""

_JOB: Final = re.compile(r"/jobs/([^/]+)")
_EVENTS: Final = re.compile(r"/jobs/([^/]+)/events")
_STATIC: Final = "/static/"


class Dashboard:
    """The application. Made by `Postlude.dashboard`.

    Args:
        desk: gives the journal and what works with it; asked at each request.
        ask: says who a request is of.
        look: how it looks.
    """

    def __init__(self, desk: Callable[[], Desk], ask: Ask, look: Look) -> None:
        self._desk = desk
        self._ask = ask
        self._look = look
        self._assets = Assets()
        self._operations = Operations()
        self._prepared = False
        self._pulse: Pulse | None = None
        self._pulse_of: Desk | None = None

    def forget(self) -> None:
        """Show nothing that was looked up before: the next page asks the journal."""
        if self._pulse is not None:
            self._pulse.forget()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        response = await self._answer(request)
        for name, value in {**HEADERS, **NO_STORE}.items():
            response.headers.setdefault(name, value)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        root, path = paths_of(request.scope)
        if path.startswith(_STATIC) and request.method in ("GET", "HEAD"):
            return self._assets.answer(path.removeprefix(_STATIC)) or _not_found()
        try:
            access = await access_of(request, self._ask)
        except NoAccess:
            return _not_found()
        if isinstance(access, Response):
            return access
        if request.method == "POST" or path in _SHOWN:
            try:
                refuse_foreign(request)
            except ForeignRequest as error:
                return PlainTextResponse(f"Refused: {error}, so this does not come from here.\n", 403)
        elif request.method not in ("GET", "HEAD"):
            return PlainTextResponse("Method Not Allowed", 405, {"Allow": "GET, HEAD, POST"})
        if not path:
            return RedirectResponse(f"{root}/", 303)
        return await self._page(request, access, root, path)

    async def _page(self, request: Request, access: Access, root: str, path: str) -> Response:
        desk = self._desk()
        visit = None
        try:
            await desk.opened()
            if not self._prepared:
                await asyncio.to_thread(prepare)
                self._prepared = True
            pulse = self._pulse_for(desk)
            visit = Visit(
                request, desk, pulse, access, root, path, self._look, self._assets,
                date_of(desk.store.now()), self._operations,
            )  # fmt: skip
            found = _handler(request.method, path)
            if found is None:
                return await visit.page("missing.html", "Not found", "", status=404, what="page")
            if isinstance(found, Response):
                return found
            if request.method == "POST":
                return await found(visit)
            return await _live(visit, found)
        except JournalUnavailable as error:
            return PlainTextResponse(f"The journal cannot be used now: {error}\n", 503, {"Retry-After": "2"})
        except JobNotFound:
            assert visit is not None
            return await visit.page("missing.html", "No such job", "jobs", status=404, what="job")
        except PostludeError as error:
            if visit is None:
                raise
            status = next((code for kind, code in _CODES if isinstance(error, kind)), 409)
            return await visit.page("refused.html", "Not done", "", status=status, why=str(error))

    def _pulse_for(self, desk: Desk) -> Pulse:
        """The pulse of the journal; of another one, where tests have given it."""
        if self._pulse is None or self._pulse_of is not desk:
            self._pulse, self._pulse_of = Pulse(desk.store), desk
        return self._pulse


def _handler(method: str, path: str) -> Page | Response | None:
    if method == "POST":
        if path in ACTIONS:
            return ACTIONS[path]
        if path not in PAGES and _JOB.fullmatch(path) is None:
            return None
        return PlainTextResponse("Method Not Allowed", 405, {"Allow": "GET, HEAD"})
    if path in PAGES:
        return PAGES[path]
    if _JOB.fullmatch(path):
        return job.page
    return job.events if _EVENTS.fullmatch(path) else None


async def _live(visit: Visit, page: Page) -> Response:
    """Answer with a page, or with 304 if nothing has changed since the browser had it.

    Who asks for the same page in the same second, and sees as much, is given the same.
    """
    pulse = visit.pulse
    tag = f'W/"{pulse.token()}"'
    headers = {"ETag": tag, POLL: f"{pulse.pace.pause:.1f}"}
    if visit.request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    asked = ("page", str(visit.request.url), visit.access, int(visit.now.timestamp()))
    response: Response = await pulse.kept(asked, lambda: page(visit))
    if not isinstance(response, HTMLResponse):
        pulse.drop(asked)
        return response
    answer = HTMLResponse(response.body, response.status_code)
    answer.headers.update(
        {**headers, **{name: response.headers[name] for name in _OWN if name in response.headers}}
    )
    return answer


def paths_of(scope: Scope) -> tuple[str, str]:
    """Return the path under which the dashboard is, as browsers see it, and the rest of a request's path.

    `root_path` is where the application is for browsers, with where this is mounted in it. A proxy that has
    taken the first of these away leaves a path that begins with the second alone.
    """
    root: str = scope.get("root_path", "").rstrip("/")
    path: str = scope["path"]
    outer: str = scope.get("app_root_path", "").rstrip("/")
    for before in (root, root.removeprefix(outer)):
        if path == before or path.startswith(f"{before}/"):
            return root, path[len(before) :]
    return root, path


def _not_found() -> Response:
    return PlainTextResponse("Not Found", 404)
