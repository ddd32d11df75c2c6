"""What a process of a worker is told to do, as a value and as the text that it is started with."""

import json
from dataclasses import asdict, dataclass

from postlude.model.queues import ALL, Queues, only
from postlude.model.role import Role


@dataclass(frozen=True, slots=True)
class Orders:
    """What each process of a worker does."""

    application: str
    """Where its Postlude is: `module:name`."""
    directory: str
    """Where modules are looked for first."""
    queues: tuple[str, ...] = ()
    """Those that it works through; none: all."""
    concurrency: int | None = None
    """How many jobs it runs at once; None: as the application's `Config` says."""
    grace: float | None = None
    """How long its end waits for jobs, in seconds; None: as the application's `Config` says."""
    max_jobs: int | None = None
    """After so many another takes its place."""
    max_memory: int | None = None
    """Using more bytes than these after a job, another takes its place."""

    def text(self) -> str:
        """Return it as a text."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "Orders":
        """Return what `text` has written."""
        told = json.loads(text)
        return cls(**told | {"queues": tuple(told["queues"])})

    @property
    def role(self) -> Role:
        """What the process is for the application."""
        queues: Queues = only(self.queues) if self.queues else ALL
        return Role(True, queues, self.concurrency, self.grace)
