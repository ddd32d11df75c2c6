"""What is to be done for each verb, on PostgreSQL."""

from collections.abc import Callable
from typing import Any

from postlude.stores.grouped.backend import Verb
from postlude.stores.postgres.joining import after_taking_in
from postlude.stores.postgres.runners import Runners
from postlude.stores.relational.claims import Claims
from postlude.stores.relational.verbs import verbs


def verbs_of(runners: Runners, claims: Claims) -> dict[Verb, Callable[[Any, Any], list[Any]]]:
    """Return what applies each verb, for a process with these runners."""
    found = dict(verbs(runners, claims))
    for verb in (Verb.PROMOTE, Verb.CANCEL):
        found[verb] = after_taking_in(found[verb])
    return found
