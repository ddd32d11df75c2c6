"""A schedule as it is declared, which of its times are due, and the jobs that these become."""

import json
from collections.abc import Iterable
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, NamedTuple

from postlude.model.cron import BadRule, Rule, rule_of
from postlude.model.job import NewJob
from postlude.model.overrides import read_opts
from postlude.model.terms import Conflict, Given, Terms

MOST: Final = 1000
"""Due times of one schedule that are dealt with at once, the newest; those before are passed over. A clock
that was decades behind when an application was started leaves millions of them."""


class Missed(StrEnum):
    """What becomes of due times at which no process was there."""

    SKIP = "skip"
    """They are passed over."""
    ONCE = "once"
    """One job stands for all of them."""
    ALL = "all"
    """Each has its job, late."""


class Schedule(NamedTuple):
    """What a release says of one schedule: all that another process needs to add its jobs."""

    name: str
    task: str
    queue: str
    rule: str
    """A cron expression, or an interval; see `postlude.model.cron`."""
    zone: str
    """The name of its time zone."""
    missed: str
    leeway: int
    """How late a due time may be and is not missed (microseconds)."""
    payload: bytes
    """The arguments of its jobs, as the codec wrote them."""
    terms: str
    """What its jobs are stored with, as JSON."""

    @property
    def times(self) -> Rule:
        """Its rule.

        Raises:
            BadRule: this release, or this machine's list of time zones, does not know it.
        """
        return rule_of(self.rule, self.zone)


class DueTime(NamedTuple):
    """A due time that has come."""

    due: int
    runs: bool
    """Whether it has a job of its own."""
    missed: bool
    """Whether nobody was there at the time."""


def due_times(schedule: Schedule, done: int, now: int) -> list[DueTime]:
    """Return the due times that have come since those that are dealt with, `MOST` at most.

    Args:
        schedule: whose.
        done: up to which moment they are dealt with.
        now: the time.

    Raises:
        BadRule: its rule is not known here.
    """
    times = schedule.times.between(done, now, MOST)
    missed = [due for due in times if now - due > schedule.leeway]
    made_up: Iterable[int] = ()
    if schedule.missed == Missed.ALL:
        made_up = missed
    elif schedule.missed == Missed.ONCE and len(missed) == len(times):
        made_up = missed[-1:]  # else one that is in time stands for them
    runs = {*made_up, *times[len(missed) :]}
    return [DueTime(due, due in runs, due in missed) for due in times]


def next_after(schedule: Schedule, moment: int) -> int | None:
    """Return its first due time after a moment; None: there is none, or its rule is not known here."""
    try:
        return schedule.times.after(moment)
    except BadRule:
        return None


def job_of(schedule: Schedule, now: int, *, due: int | None = None, id: bytes | None = None) -> NewJob:
    """Return the job of a due time, or of a run by hand.

    Args:
        schedule: whose.
        now: the time.
        due: the due time; its job has the same id whoever makes it.
        id: that of a job without one.
    """
    terms = read_terms(schedule.terms)
    opts = read_opts(terms.given.opts).of_schedule(schedule.name, due)
    terms = terms._replace(given=Given(opts.text()))
    made = id_of(schedule.name, due) if due is not None else id
    assert made is not None, "a job without a due time has an id of its own"
    return NewJob(made, schedule.task, schedule.queue, schedule.payload, now, terms)


def id_of(name: str, due: int) -> bytes:
    """Return the id of a due time's job: a UUIDv7 of that time, with a digest in the place of chance."""
    text = f"{due} {name}".encode("utf-8", "surrogatepass")
    made = bytearray(max(0, due // 1000).to_bytes(6) + sha256(text).digest()[:10])
    made[6] = made[6] & 0x0F | 0x70
    made[8] = made[8] & 0x3F | 0x80
    return bytes(made)


def write_terms(terms: Terms) -> str:
    """Write what jobs are stored with; only what is not as by default."""
    found: dict[str, Any] = {
        name: getattr(terms, name) for name in _KEPT if getattr(terms, name) != getattr(_DEFAULT, name)
    }
    if terms.given.opts is not None:
        found["opts"] = terms.given.opts
    return json.dumps(found, separators=(",", ":"), sort_keys=True)


def read_terms(text: str) -> Terms:
    """Read it; what this release does not understand is left out."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = {}
    if not isinstance(found, dict):
        return _DEFAULT
    kept = {name: found[name] for name in _KEPT if name in found}
    if "conflict" in kept:
        kept["conflict"] = Conflict(kept["conflict"]) if kept["conflict"] in set(Conflict) else Conflict.KEEP
    return Terms(given=Given(found.get("opts")), **kept)


def digest_of(schedules: Iterable[Schedule]) -> str:
    """Return what is equal for those who declare the same."""
    rows = [[*one[:_PAYLOAD], one.payload.hex(), one.terms] for one in sorted(schedules)]
    return sha256(json.dumps(rows).encode()).hexdigest()[:32]


_DEFAULT: Final = Terms()
_KEPT: Final = ("priority", "once", "owner", "key", "conflict", "concurrency_key", "rated")
_PAYLOAD: Final = Schedule._fields.index("payload")
