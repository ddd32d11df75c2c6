"""What happens to this process and is of no one journal: requests, definitions, what runs in memory."""

from typing import Final

from postlude.telemetry.events import Events
from postlude.telemetry.logging import logged

EVENTS: Final[Events] = logged()
"""Its dispatcher. Each journal has one of its own (`Store.events`)."""
