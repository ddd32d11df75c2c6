"""Whether an application has jobs that a worker can run."""

from typing import Any, Protocol, TypeVar

from postlude.errors import PostludeError
from postlude.stores.memory import MemoryStore


class NothingToRun(PostludeError):
    """No job of an application can be run by another process."""


class _Stores(Protocol):
    @property
    def off(self) -> bool: ...

    @property
    def components(self) -> Any: ...


P = TypeVar("P", bound=_Stores)


def checked(postlude: P) -> P:
    """Return an application's Postlude, if a worker can run its jobs.

    Raises:
        NothingToRun: it stores none, or in the memory of this process alone.
    """
    if postlude.off:
        raise NothingToRun("this Postlude is off (POSTLUDE_STORE=off): it stores no jobs that could be run")
    if isinstance(postlude.components.store, MemoryStore):
        raise NothingToRun(
            "the journal is in this process's memory, where nobody else adds jobs: give the application and "
            "its workers one that they share, with store= or POSTLUDE_STORE"
        )
    return postlude
