"""What the log says of brokers, and of engines that have one."""

from typing import Final

from postlude.model.event import broker as event
from postlude.telemetry.log import Log
from postlude.telemetry.logging.lines import Lines, line, with_traceback

BROKER: Final = Log("postlude.broker")


def _deaf(told: event.WorkerDeaf) -> None:
    BROKER.error(
        "the worker has been deaf for %.0f s: the broker has messages for it (%s), and none reaches it; %s",
        told.seconds,
        ", ".join(told.queues),
        "it ends, to begin anew" if told.ends else "they are published again, for others",
    )


def _hears(told: event.WorkerHears) -> None:
    BROKER.warning("the worker hears its broker again (%s)", ", ".join(told.queues))


LINES: Final[Lines] = {
    event.JobsPublished: line(BROKER.debug, "published jobs of queue %s: %d", "queue", "jobs"),
    event.BrokerLost: line(
        BROKER.warning,
        "the broker of queue %s takes nothing now, jobs wait in the journal meanwhile: %s",
        "queue", "why",
    ),
    event.BrokerReached: line(BROKER.warning, "the broker of queue %s takes messages again", "queue"),
    event.WorkerDeaf: _deaf,
    event.WorkerHears: _hears,
    event.EngineFailed: with_traceback(
        BROKER.error, "this process of the worker ends: the application has not started in it"
    ),
}  # fmt: skip
"""The listener that writes the log: every line that the package says of what happens is worded here."""
