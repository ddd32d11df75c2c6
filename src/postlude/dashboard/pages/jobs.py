"""Jobs: a list by a filter, newest first."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from starlette.responses import RedirectResponse, Response

from postlude.dashboard.pages.rows import JobRow, rows_of
from postlude.dashboard.site import Visit
from postlude.dashboard.words import short_name
from postlude.jobs.bulk import Cancelling, Deleting, Retrying
from postlude.jobs.looks import SEARCHED
from postlude.jobs.naming import Unclear
from postlude.jobs.selection import BadSelection, Selection, parse
from postlude.model.ids import id_text
from postlude.model.job import JobFilter, JobRecord
from postlude.model.state import State
from postlude.stores.protocol import Counts

PAGE: Final = 50
"""Jobs on a page."""

_FIELDS: Final = ("state", "task", "queue", "since", "until")
"""What an address may name by itself, beside the filter in words."""

_ACTS: Final = {"retry": Retrying.states, "cancel": Cancelling.states, "delete": Deleting.states}

_DIGITS: Final = re.compile(r"[0-9a-f]{0,32}")

SPANS: Final = (("15m", "15 minutes"), ("1h", "hour"), ("24h", "24 hours"), ("7d", "7 days"))


@dataclass(frozen=True, slots=True)
class Tab:
    """A state, and how many jobs are in it."""

    name: str
    href: str
    jobs: int | None
    """None: that is not known under this filter, and not counted for it."""
    here: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a menu."""

    value: str
    name: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Menu:
    """A menu of the filter."""

    name: str
    label: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Chip:
    """A word of the filter, and the way to the same without it."""

    text: str
    href: str


@dataclass(frozen=True, slots=True)
class JobsPage:
    """What the page shows."""

    query: str
    wrong: str
    """What is wrong with the filter."""
    tabs: tuple[Tab, ...]
    menus: tuple[Menu, ...]
    chips: tuple[Chip, ...]
    rows: tuple[JobRow, ...]
    searched: str
    """Of how many jobs; empty: of all."""
    search_all: str
    newest: str
    """The way to the first page; empty: this is it."""
    older: str
    total: int
    """Jobs that there are in all."""
    filtered: bool
    acts: tuple[str, ...]
    """What whoever looks may do with those that they select."""


class Which:
    """Which jobs an address means.

    Args:
        visit: has the address.
        counts: how many jobs there are of each task in each state.
    """

    def __init__(self, visit: Visit, counts: Sequence[Counts]) -> None:
        self.tasks = sorted({count.task for count in counts})
        self.total = sum(count.jobs for count in counts)
        self.text = visit.asked("q").strip()
        self.wrong = ""
        self.selection = Selection()
        try:
            self.selection = parse(self.text).resolved(self.tasks)
            self.filter: JobFilter | None = self.selection.filter(visit.now)
        except (BadSelection, Unclear) as error:
            self.wrong, self.filter = str(error), None
        if self.filter is not None and self.selection.failure is not None:
            kind = "" if self.selection.failure == "-" else self.selection.failure
            failure = (kind, self.selection.raised or "")
            self.filter = replace(self.filter, states=(State.FAILED,), failure=failure)
        self.everywhere = visit.asked("all") == "1"

    @property
    def bounded(self) -> bool:
        """Whether only the newest jobs are looked at: no index knows those that are meant, or may not."""
        alone = Selection(states=self.selection.states)
        return self.total > SEARCHED and not self.everywhere and self.selection != alone


async def page(visit: Visit) -> Response:
    """Answer with the list."""
    if menus := {name: visit.asked(name) for name in _FIELDS if name in visit.request.query_params}:
        return RedirectResponse(visit.url("jobs", q=_with(visit.asked("q"), menus)), 303)
    counts: list[Counts] = await visit.kept("counts", visit.desk.store.counts)
    which = Which(visit, counts)
    if which.selection.id is not None and which.filter is not None:
        return await _by_id(visit, which, counts)
    before = visit.asked("before")
    records: list[JobRecord] = []
    if which.filter is not None:
        wanted = replace(
            which.filter,
            before=int(before) if before.isdecimal() and len(before) < 19 else None,
            within=SEARCHED if which.bounded else None,
            limit=PAGE + 1,
        )
        records = await visit.kept(("jobs", wanted), lambda: visit.desk.store.page(wanted))
    shown = _shown(visit, which, counts, records[:PAGE], more=len(records) > PAGE, first=not before)
    return await visit.page("jobs.html", "Jobs", "jobs", query=which.text, page=shown)


async def _by_id(visit: Visit, which: Which, counts: list[Counts]) -> Response:
    """Go to the one job that is meant, or show those whose ids begin or end so."""
    digits = (which.selection.id or "").replace("-", "").lower()
    if not _DIGITS.fullmatch(digits):
        digits, which.wrong = "", "Ids consist of the digits 0 to 9 and a to f, 32 of them at most."
    store = visit.desk.store
    ids = await store.ids_beginning(digits) if digits else []
    if not ids and digits:
        newest = await store.find(JobFilter(limit=SEARCHED))
        ids = [one.id for one in newest if one.id.hex().endswith(digits)][:PAGE]
    if len(ids) == 1:
        return RedirectResponse(visit.url(f"jobs/{id_text(ids[0])}"), 303)
    if len(ids) > 1:
        which.wrong = "The ids of several jobs begin or end so; give more of it. These are some of them."
    found = [await store.get(id) for id in ids]
    shown = _shown(visit, which, counts, [one for one in found if one is not None], more=False, first=True)
    return await visit.page("jobs.html", "Jobs", "jobs", query=which.text, page=shown)


def _with(text: str, menus: dict[str, str]) -> str:
    """Return a filter with what was chosen in the menus, or written into the address."""
    state = menus.pop("state", "")
    try:
        selection = parse(text)
    except BadSelection:
        return text
    for name, value in menus.items():
        selection = replace(selection, **{name: value or None})  # type: ignore[arg-type]
    return f"{selection.words()} state:{state}".strip() if state else selection.words()


def _shown(
    visit: Visit, which: Which, counts: Sequence[Counts], records: list[JobRecord], *, more: bool, first: bool
) -> JobsPage:
    query = which.text
    older = visit.url("jobs", q=query, before=records[-1].seq, all=which.everywhere and 1) if more else ""
    return JobsPage(
        query=query,
        wrong=which.wrong,
        tabs=_tabs(visit, which, counts),
        menus=_menus(which),
        chips=_chips(visit, which.selection),
        rows=rows_of(visit, records),
        searched=f"{SEARCHED:,}" if which.bounded else "",
        search_all=visit.url("jobs", q=query, all=1),
        newest="" if first else visit.url("jobs", q=query),
        older=older,
        total=which.total,
        filtered=which.selection.restricts or bool(which.wrong),
        acts=_acts(visit, which.selection.states),
    )


def _acts(visit: Visit, states: tuple[State, ...]) -> tuple[str, ...]:
    """Return what whoever looks may do with jobs in some of these states; none: in any."""
    may = [(act, those) for act, those in _ACTS.items() if act in visit.access.act]
    return tuple(act for act, those in may if not states or those.intersection(states))


def _tabs(visit: Visit, which: Which, counts: Sequence[Counts]) -> tuple[Tab, ...]:
    selection = which.selection
    numbers = Counter[State]()
    known = replace(selection, states=()) == Selection(task=selection.task)
    for count in counts:
        if selection.task in (None, count.task):
            numbers[count.state] += count.jobs

    def tab(name: str, states: tuple[State, ...], jobs: int) -> Tab:
        words = replace(selection, states=states).words()
        return Tab(name, visit.url("jobs", q=words), jobs if known else None, selection.states == states)

    return (
        tab("all", (), numbers.total()),
        *(tab(state.value, (state,), numbers[state]) for state in State),
    )


def _menus(which: Which) -> tuple[Menu, ...]:
    selection = which.selection
    names = Counter(map(short_name, which.tasks))
    tasks = [
        Choice(one, short_name(one) if names[short_name(one)] == 1 else one, one == selection.task)
        for one in which.tasks
    ]
    spans = [Choice(value, f"last {name}", value == selection.since) for value, name in SPANS]
    return (
        Menu("task", "Task", (Choice("", "any task", selection.task is None), *tasks)),
        Menu("since", "Created", (Choice("", "any time", selection.since is None), *spans)),
    )


def _chips(visit: Visit, selection: Selection) -> tuple[Chip, ...]:
    names: list[tuple[str, Any]] = [
        (name, getattr(selection, name))
        for name in ("queue", "key", "owner", "error", "since", "until", "failure", "raised")
        if getattr(selection, name) is not None
    ]
    return tuple(
        Chip(f"{name}: {value}", visit.url("jobs", q=selection.without(name).words()))
        for name, value in [*names, *selection.arguments]
    )
