"""Naming: what people type in place of whole names and ids."""

import re
from collections.abc import Collection
from typing import Final

from postlude.errors import JobNotFound, PostludeError
from postlude.jobs.looks import SEARCHED
from postlude.messages.quoting import cut, listed, quoted
from postlude.model.ids import id_bytes
from postlude.model.job import JobFilter
from postlude.stores.protocol import Looking
from postlude.tasks.names import called

_FEWEST: Final = 4
"""Digits of an id that are looked for; fewer are most jobs'."""

_BEGINNING: Final = re.compile("[0-9a-f]{1,31}")


class Unclear(PostludeError):
    """What was typed does not say which is meant."""


def full_name(typed: str, tasks: Collection[str]) -> str:
    """Return the name of the task that is meant: its whole name, or that of its function alone.

    Args:
        typed: what was typed.
        tasks: the names of those that have jobs. If none of them is meant, it is taken for a whole name.

    Raises:
        Unclear: several of them are called so.
    """
    if typed in tasks:
        return typed
    meant = called(typed, tasks)
    if len(meant) > 1:
        raise Unclear(f"several tasks are called {cut(typed)}; give one of {listed(meant)}")
    return meant[0] if meant else typed


def whole_id(typed: str, journal: Looking) -> bytes:
    """Return the id that is meant: the whole one, or how it begins, or else how it ends.

    What ids end with is in no index, so it is looked for among the newest `SEARCHED` jobs.

    Args:
        typed: what was typed.
        journal: has the jobs.

    Raises:
        JobNotFound: it is no id, and no job's begins or ends so.
        Unclear: those of several jobs do, or may.
    """
    try:
        return id_bytes(typed)
    except ValueError:
        digits = typed.replace("-", "").lower()
    if not _BEGINNING.fullmatch(digits):
        raise JobNotFound(f"{quoted(typed)} is not the id of a job; `postlude jobs` lists them")
    if len(digits) < _FEWEST:
        raise Unclear(f"{quoted(typed)} is too little of an id; give at least {_FEWEST} digits of it")
    found, how = journal.ids_beginning(digits).wait(), "begin"
    if not found:
        newest = journal.find(JobFilter(limit=SEARCHED)).wait()
        found, how = [one.id for one in newest if one.id.hex().endswith(digits)], "end"
    if not found:
        raise JobNotFound(
            f"no job's id begins with {cut(typed)}, and of the newest {SEARCHED:,} none ends with it; it may "
            f"have been pruned"
        )
    if len(found) > 1:
        raise Unclear(f"the ids of several jobs {how} with {cut(typed)}; give more of it")
    return found[0]
