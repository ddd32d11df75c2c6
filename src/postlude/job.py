"""The handle that adding a job gives."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Job:
    """A job that has been asked for.

    Attributes:
        raw_id: its id as the journal keeps it.
        task: the name of its task.
        queue: the queue it waits under.
    """

    raw_id: bytes
    task: str
    queue: str

    @property
    def id(self) -> str:
        """Its id, as text."""
        return str(UUID(bytes=self.raw_id))
