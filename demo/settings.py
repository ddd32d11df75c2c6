"""What the supervisor tells the shop."""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from demo.outage import Outage


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the shop finds its surroundings."""

    directory: Path
    """What the shop keeps: the journal, uploads, invoices and the mailbox."""
    smtp_port: int
    pace: float
    """Seconds that a slow mail takes; the demonstration is only worth watching if something waits."""
    outage_seconds: float
    """How long the mail server refuses when the page's button is pressed."""
    store: str = ""
    """Where the journal is; empty: a file in the directory."""
    broker: str = ""
    """That of the workers that run the imports; empty: the shop runs them. `demo.jobs` reads it by itself."""

    @property
    def mailbox(self) -> Path:
        """The Maildir that the SMTP server fills."""
        return self.directory / "mailbox"

    @property
    def outage(self) -> Outage:
        """The mail server's, shared with it."""
        return Outage(self.directory / "outage")

    def folder(self, name: str) -> Path:
        """Return a folder of the shop's, made if need be."""
        path = self.directory / name
        path.mkdir(exist_ok=True)
        return path

    def environment(self) -> dict[str, str]:
        """Return these settings as environment variables for the server process."""
        return {
            "DEMO_DIR": str(self.directory),
            "DEMO_SMTP_PORT": str(self.smtp_port),
            "DEMO_PACE": str(self.pace),
            "DEMO_OUTAGE": str(self.outage_seconds),
            "DEMO_BROKER": self.broker,
        } | ({"POSTLUDE_STORE": self.store} if self.store else {})


@cache
def settings() -> Settings:
    """Read the settings that the supervisor gave to this process."""
    return Settings(
        directory=Path(os.environ["DEMO_DIR"]),
        smtp_port=int(os.environ["DEMO_SMTP_PORT"]),
        pace=float(os.environ["DEMO_PACE"]),
        outage_seconds=float(os.environ["DEMO_OUTAGE"]),
        store=os.environ.get("POSTLUDE_STORE", ""),
    )
