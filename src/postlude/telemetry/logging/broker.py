"""What the log says of brokers, and of engines that have one."""

from typing import Final

from postlude.model.event import broker as event
from postlude.telemetry.log import Log
from postlude.telemetry.logging.lines import Lines, line, with_traceback

BROKER: Final = Log("postlude.broker")

LINES: Final[Lines] = {
    event.JobsPublished: line(BROKER.debug, "published jobs of queue %s: %d", "queue", "jobs"),
    event.BrokerLost: line(
        BROKER.warning,
        "the broker of queue %s takes nothing now, jobs wait in the journal meanwhile: %s",
        "queue", "why",
    ),
    event.BrokerReached: line(BROKER.info, "the broker of queue %s takes messages again", "queue"),
    event.EngineFailed: with_traceback(
        BROKER.error, "this process of the worker ends: the application has not started in it"
    ),
}  # fmt: skip
"""The listener that writes the log: every line that the package says of what happens is worded here."""
