"""How a listener joins a Postlude."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from postlude.app.postlude import Postlude
from postlude.model.event import Event
from postlude.telemetry.carrying import Carrier


class Hears(Protocol):
    """A listener of events, by kind."""

    @property
    def hears(self) -> Mapping[type[Event], Callable[[Any], None]]:
        """What is called with each kind."""
        ...


def join(postlude: Postlude, listener: Hears, carrier: Carrier | None = None) -> None:
    """Have a listener told what happens to a Postlude's jobs, and a carrier asked before they are added."""
    components = postlude.components
    for kind, hear in listener.hears.items():
        components.store.events.listen(hear, kind)
    if carrier is not None:
        carried = components.execution.carried
        carried.carriers = (*carried.carriers, carrier)
