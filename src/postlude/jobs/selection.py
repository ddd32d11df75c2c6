"""Selections: which jobs are meant, in the words of one line of text, and as the journal takes them.

`state:failed task:send_receipt tenant:acme since:2h` means what the options of `postlude jobs` mean.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from postlude.errors import PostludeError
from postlude.jobs.naming import Unclear, full_name
from postlude.messages.quoting import quoted
from postlude.model.job import JobFilter
from postlude.model.state import State

_AGO: Final = re.compile(r"(\d{1,9})\s*(s|m|h|d|w)")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_WORD: Final = re.compile(
    r"""(?:(?P<name>[^\s:"]+|"(?:[^"\\]|\\.)*"):)?(?P<value>"(?:[^"\\]|\\.)*"|[^\s"]+)(?=\s|$)"""
)
_PLAIN: Final = re.compile(r'[^\s"\\]+')
_ID: Final = re.compile(r"[0-9a-fA-F-]{4,36}")

ONCE: Final = ("task", "queue", "key", "owner", "error", "since", "until", "failure", "raised")
"""Names that can be said once; `state` can be said more than once, and all others are arguments'."""

OWN: Final = (*ONCE, "state", "id")

ARGUMENT: Final = "arg."
"""Begins the name of an argument that is called like one of these."""


class BadSelection(PostludeError):
    """What was typed says not which jobs are meant. The message names the word, and what to write."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which jobs are meant, in the words of whoever says it. What is None does not restrict."""

    states: tuple[State, ...] = ()
    task: str | None = None
    queue: str | None = None
    key: str | None = None
    owner: str | None = None
    error: str | None = None
    since: str | None = None
    until: str | None = None
    failure: str | None = None
    """The exception's class that failures are grouped by, with `raised`; `-`: nobody knows."""
    raised: str | None = None
    """Where the application has raised it."""
    arguments: tuple[tuple[str, str], ...] = ()
    id: str | None = None
    """An id, or how one begins or ends."""
    bare: str | None = None
    """A word without a name: a task, an id or a key."""

    @property
    def restricts(self) -> bool:
        """Whether it says anything."""
        return self != Selection()

    def words(self) -> str:
        """Return it as one line of text, which `parse` reads."""
        return " ".join(_written(name, value) for name, value in self._said())

    def without(self, name: str) -> "Selection":
        """Return it without one of its words."""
        return _made([(each, value) for each, value in self._said() if each != name])

    def _said(self) -> Iterator[tuple[str, str]]:
        for state in self.states:
            yield "state", state.value
        for name in ONCE:
            value = getattr(self, name)
            if value is not None:
                yield name, value
        if self.id is not None:
            yield "id", self.id
        for name, value in self.arguments:
            reserved = name in OWN or not name or name.startswith(ARGUMENT)
            yield (f"{ARGUMENT}{name}" if reserved else name), value
        if self.bare is not None:
            yield "", self.bare

    def resolved(self, tasks: Collection[str]) -> "Selection":
        """Return it with whole names of tasks, and its bare word as what that is.

        Args:
            tasks: the names of those that have jobs.

        Raises:
            Unclear: several tasks are called so.
        """
        found = dict(self._said_once())
        if self.bare is not None:
            named = _task_of(self.bare, tasks)
            if named is not None and self.task is None:
                found["task"] = named
            elif _ID.fullmatch(self.bare) and self.id is None:
                found["id"] = self.bare
            else:
                found["key"] = self.bare
        elif self.task is not None:
            found["task"] = full_name(self.task, tasks)
        return Selection(states=self.states, arguments=self.arguments, **found)

    def _said_once(self) -> Iterator[tuple[str, str]]:
        for name in (*ONCE, "id"):
            value = getattr(self, name)
            if value is not None:
                yield name, value

    def filter(self, now: datetime) -> JobFilter:
        """Return it as the journal takes it; `id` and `bare` are the caller's to look for.

        Raises:
            BadSelection: a time is none.
        """
        return JobFilter(
            states=self.states,
            task=self.task,
            queue=self.queue,
            key=self.key,
            owner=self.owner,
            error=self.error,
            arguments=self.arguments,
            since=_moment("since", self.since, now),
            until=_moment("until", self.until, now),
        )


def parse(text: str) -> Selection:
    """Return what a line of text means.

    Raises:
        BadSelection: a quotation has no end, a state is none, or something is said twice.
    """
    said: list[tuple[str, str]] = []
    place = 0
    text = text.strip()
    while place < len(text):
        found = _WORD.match(text, place)
        if found is None:
            raise BadSelection(f"{quoted(text[place:])}: a quotation mark is missing, or one too many")
        said.append((_unquoted(found["name"] or ""), _unquoted(found["value"])))
        place = found.end()
        while place < len(text) and text[place].isspace():
            place += 1
    return _made(said)


def _made(said: list[tuple[str, str]]) -> Selection:
    once: dict[str, str] = {}
    states: list[State] = []
    arguments: list[tuple[str, str]] = []
    for name, value in said:
        if name == "state":
            states += [_state(each) for each in value.split(",") if each]
        elif name in ONCE or name in ("id", ""):
            name = name or "bare"
            if name in once:
                told = "two words without a name" if name == "bare" else f"{name}: is said twice"
                raise BadSelection(f"{told}; one is enough, and a text with spaces has quotation marks")
            once[name] = value
        else:
            arguments.append((name.removeprefix(ARGUMENT), value))
    return Selection(states=tuple(dict.fromkeys(states)), arguments=tuple(arguments), **once)


def _state(text: str) -> State:
    try:
        return State(text.lower())
    except ValueError:
        raise BadSelection(f"state:{quoted(text)[1:-1]} is none; write one of {', '.join(State)}") from None


def _task_of(word: str, tasks: Collection[str]) -> str | None:
    try:
        name = full_name(word, tasks)
    except Unclear:
        return word
    return name if name in tasks else None


def _written(name: str, value: str) -> str:
    text = value if _PLAIN.fullmatch(value) and (name or ":" not in value) else _in_quotes(value)
    if not name:
        return text
    return f"{name if _PLAIN.fullmatch(name) and ':' not in name else _in_quotes(name)}:{text}"


def _in_quotes(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unquoted(text: str) -> str:
    if len(text) < 2 or not text.startswith('"'):
        return text
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def _moment(name: str, text: str | None, now: datetime) -> int | None:
    try:
        return None if text is None else moment(text, now)
    except ValueError as error:
        raise BadSelection(f"{name}:{error}") from None


def moment(text: str, now: datetime) -> int:
    """Return the time that was typed (microseconds, UTC): so long ago, or a date.

    Raises:
        ValueError: it is neither.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            time = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        else:
            time = datetime.fromisoformat(text.strip())
            time = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
        return (time - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise ValueError(f"{quoted(text)}: give 30m, 2h, 7d, or a date, 2026-11-29T08:00") from None
