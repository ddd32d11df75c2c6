"""An application in a process of an engine's worker: its lifespan, and what it is for the journal there."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID

from postlude.app.components import Components
from postlude.app.maker import for_role
from postlude.app.runnable import checked
from postlude.app.without_server import running
from postlude.engines.protocol import Carrier, Engine
from postlude.jobs.deeds import deed
from postlude.model.event.jobs import CancelAsked
from postlude.model.queues import Queues
from postlude.model.role import Role, become
from postlude.runner.parenthood import Parenthood
from postlude.stores.protocol import Store


def join_engines(postlude: Any, engines: Mapping[str, Engine]) -> None:
    """Tell the engines that have workers of their own how an application is started there."""
    carriers = {id(engine): engine for engine in engines.values() if isinstance(engine, Carrier)}
    for engine in carriers.values():
        queues = [name for name, one in engines.items() if one is engine]
        engine.joined(queues, partial(serving_as, postlude), partial(overseeing, postlude))


@asynccontextmanager
async def serving_as(postlude: Any, role: Role) -> AsyncIterator[None]:
    """Run the lifespan of a Postlude's application, in a process that is this for it.

    The application may have been imported before it was known what the process is.

    Raises:
        NothingToRun: no other process can run its jobs.
        LifespanFailed: the application's start, or its end.
    """
    checked(postlude)
    become(role)
    postlude.config = for_role(postlude.config, role)
    postlude.work_with(_anew(postlude.components, postlude))
    async with running(postlude):
        yield


class Overseer(Parenthood):
    """The parent of an engine's worker, which also does what people ask of the worker."""

    def __init__(self, components: Components, queues: Queues) -> None:
        super().__init__(components.store, components.config, components.clock, queues)
        self._journal: Store = components.store

    async def cancel(self, ids: Sequence[bytes], by: str) -> None:
        """Cancel jobs that the worker was told not to run, or to end.

        Args:
            ids: theirs.
            by: how it was told, for the audit.
        """
        meant = " ".join(str(UUID(bytes=id)) for id in ids)
        answers = await self._journal.cancel(ids, by=deed(by, "cancel", meant))
        for id, answer in zip(ids, answers, strict=True):
            self._journal.events.emit(CancelAsked(id, answer))


@asynccontextmanager
async def overseeing(postlude: Any, queues: Queues) -> AsyncIterator[Overseer]:
    """Be the parent of an engine's worker in the journal; the application's own lifespan does not run for it.

    Raises:
        PostludeError: the journal cannot be opened, or not be written now.
    """
    components: Components = postlude.components
    parent = Overseer(components, queues)
    user = object()
    await components.enter(user)
    try:
        await parent.begin()
        try:
            yield parent
        finally:
            await parent.end()
    finally:
        await components.leave(user)


def _anew(before: Components, postlude: Any) -> Components:
    """Return components that are as this process is to be; nothing of those before has begun."""
    return Components(
        before.store,
        before.registry,
        postlude.config,
        before.clock,
        before.execution,
        before.queues,
        book=before.book,
    )
