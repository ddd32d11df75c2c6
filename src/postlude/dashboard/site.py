"""The site: what all pages have around them, and one visit to it."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from postlude.dashboard.access import RIGHTS, Access
from postlude.dashboard.assets import Assets
from postlude.dashboard.desk import Desk
from postlude.dashboard.live import Pulse
from postlude.dashboard.templating import render
from postlude.dashboard.words import Moment, counted, date_of, moment, short_name
from postlude.stores.values import AuditLine, Pause

if TYPE_CHECKING:
    from postlude.dashboard.actions.operations import Operations

ENTRIES: Final = (
    ("now", "", "Now", "n"),
    ("failures", "failures", "Failures", "f"),
    ("jobs", "jobs", "Jobs", "j"),
    ("tasks", "tasks", "Tasks", "t"),
    ("schedules", "schedules", "Schedules", "s"),
    ("processes", "processes", "Processes", "p"),
)
"""The pages that each page leads to: key, path, what it is called, and the letter behind `g`."""

BESIDE: Final = 4.0
"""So many times what writing a page costs it costs in all, with reading what it has."""

SEARCHED_ACTS: Final = 200
"""Audit lines among which is looked for who has paused something."""


@dataclass(frozen=True, slots=True)
class Look:
    """How the dashboard of one application looks.

    Attributes:
        title: the application's name.
        environment: where it runs, `staging` for instance; empty: it is not told.
    """

    title: str
    environment: str = ""

    @property
    def production(self) -> bool:
        """Whether people should be careful here."""
        return self.environment.lower() in ("production", "prod", "live")


@dataclass(frozen=True, slots=True)
class Entry:
    """A way to a page."""

    name: str
    href: str
    letter: str
    here: bool


@dataclass(frozen=True, slots=True)
class Banner:
    """Something that is paused, on every page."""

    what: Pause
    name: str
    """What it is called."""
    who: str | None
    """Who has paused it, if that is known."""
    since: Moment | None
    href: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What is around a page."""

    heading: str
    look: Look
    root: str
    entries: tuple[Entry, ...]
    banners: tuple[Banner, ...]
    access: Access
    here: str
    """This page's own address."""
    css: str
    js: str
    icon: str
    version: str
    store: str
    now: Moment
    read_only: bool
    said: str
    """What has been done, said once."""
    query: str = ""
    """What stands in the search field."""
    live: bool = True
    """Whether the script looks for changes."""

    def may(self, right: str) -> bool:
        """Whether whoever looks may do something."""
        return right in self.access.act


@dataclass(frozen=True, slots=True)
class Visit:
    """One request, by somebody who may look.

    Attributes:
        request: the request.
        desk: the journal and what works with it.
        pulse: what has been looked up, and whether it is still true.
        access: who looks.
        root: the path under which the dashboard is mounted, as browsers see it.
        path: the rest of the path, beginning with a slash.
        look: how the dashboard looks.
        assets: its style sheet and script.
        now: the journal's time.
        operations: what is being done to many jobs.
    """

    request: Request
    desk: Desk
    pulse: Pulse
    access: Access
    root: str
    path: str
    look: Look
    assets: Assets
    now: datetime
    operations: "Operations"

    def url(self, path: str = "", /, **query: Any) -> str:
        """Return the address of a page."""
        said = {name: value for name, value in query.items() if value not in (None, "", False)}
        return f"{self.root}/{path}{'?' + urlencode(said) if said else ''}"

    def asked(self, name: str) -> str:
        """Return a parameter of the address; empty if it is not there."""
        return self.request.query_params.get(name, "")

    def moment(self, at: datetime | int | None) -> Moment | None:
        """Return a time for people."""
        return moment(at, self.now)

    def age(self, at: int) -> float:
        """Return how many seconds ago a time of the journal was."""
        return (self.now - date_of(at)).total_seconds()

    async def kept(self, key: Any, look: Callable[[], Any]) -> Any:
        """Look something up in the journal, unless that was done since the last change."""

        async def looked() -> Any:
            return await look()

        return await self.pulse.kept(key, looked)

    async def page(
        self,
        template: str,
        heading: str,
        here: str,
        /,
        status: int = 200,
        query: str = "",
        *,
        live: bool = True,
        **values: Any,
    ) -> Response:
        """Write a page.

        Args:
            template: its template.
            heading: what it is called.
            here: the key of its entry.
            status: of the answer.
            query: what stands in the search field.
            live: whether the script keeps it true.
            values: what its template has beside the frame.
        """
        frame = await self._frame(heading, here, query, live and status == 200)
        began = time.thread_time()
        text = render(template, frame=frame, url=self.url, **values)
        self.pulse.pace.spent(BESIDE * (time.thread_time() - began))
        return HTMLResponse(text, status)

    async def _frame(self, heading: str, here: str, query: str, live: bool) -> Frame:
        entries = (Entry(name, self.url(path), letter, key == here) for key, path, name, letter in ENTRIES)
        return Frame(
            heading=heading,
            look=self.look,
            root=self.root,
            entries=tuple(entries),
            banners=await self._banners(),
            access=self.access,
            here=self.request.url.path + (f"?{self.request.url.query}" if self.request.url.query else ""),
            css=f"{self.root}/static/{self.assets.name('dashboard.css')}",
            js=f"{self.root}/static/{self.assets.name('dashboard.js')}",
            icon=f"{self.root}/static/{self.assets.name('icon.svg')}",
            version=version("postlude"),
            store=self.desk.store.location,
            now=moment(self.now, self.now),  # type: ignore[arg-type]
            read_only=not self.access.act & RIGHTS,
            said=said_of(self.asked("done")),
            query=query,
            live=live,
        )

    async def _banners(self) -> tuple[Banner, ...]:
        store = self.desk.store
        paused: list[Pause] = await self.kept("paused", store.paused)
        if not paused:
            return ()
        acts: list[AuditLine] = await self.kept("acts", lambda: store.audit(limit=SEARCHED_ACTS))
        return tuple(self._banner(what, acts) for what in paused)

    def _banner(self, what: Pause, acts: list[AuditLine]) -> Banner:
        meant = f"--{what.kind} {what.name}"
        act = next((one for one in acts if one.act == "pause" and one.meant == meant and one.done), None)
        return Banner(
            what,
            what.name if what.kind == "queue" else short_name(what.name),
            None if act is None else act.actor,
            None if act is None else self.moment(act.at),
            self.url("jobs", q=f"{what.kind}:{_quoted(what.name)} state:queued"),
        )


_DONE: Final = re.compile(r"(\w+)\.(\d{1,9})\.(\d{1,9})")
_SAID: Final = {
    "retry": "run again",
    "cancel": "cancelled, or asked to stop",
    "delete": "deleted",
}
_SAID_OF_ONE: Final = {
    "pause": ("Paused.", "It is paused already."),
    "resume": ("It goes on.", "It was not paused."),
    "run": ("A job was added.", "No job was added."),
    "edit": ("This is the new job; the other one is as it was.", ""),
}


def said_of(code: str) -> str:
    """Return what has been done in words; an address can say nothing else."""
    found = _DONE.fullmatch(code)
    if found is None:
        return ""
    act, done, not_done = found[1], int(found[2]), int(found[3])
    if act in _SAID_OF_ONE:
        return _SAID_OF_ONE[act][0 if done else 1]
    if act not in _SAID:
        return ""
    if not done and not not_done:
        return "Nothing was done: there was nothing left to do."
    rest = f" {counted(not_done)} had changed meanwhile, or another one has the key." if not_done else ""
    said = "runs again" if act == "retry" and done == 1 else _SAID[act]
    return f"{counted(done)} {said}.{rest}"


def _quoted(name: str) -> str:
    """Write a name as a filter has it."""
    plain = not any(each.isspace() or each in '"\\' for each in name)
    return name if plain and name else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
