"""Background tasks as a dependency that joins the session of another one: `postlude.within(SessionDep)`."""

import inspect
from typing import Annotated, Any, Final, get_args, get_origin

from fastapi import Depends, params
from starlette.background import BackgroundTasks as StarletteBackgroundTasks

from postlude.errors import PostludeError
from postlude.frameworks.fastapi.internals import dependants_of, scope_of
from postlude.frameworks.fastapi.routes import handlers
from postlude.messages.quoting import quoted

_SESSION: Final = "__postlude_session__"
"""The attribute by which a dependency of ours is known: what the session comes from."""


def is_dependency(given: Any) -> bool:
    """Whether a session is asked for, and not given: `Annotated[AsyncSession, Depends(get_session)]`."""
    return dependency_in(given) is not None


def dependency_in(given: Any) -> params.Depends | None:
    """Return what fills an annotation."""
    if isinstance(given, params.Depends):
        return given
    if get_origin(given) is Annotated:
        return next((part for part in get_args(given)[1:] if isinstance(part, params.Depends)), None)
    return None


def depending_on(given: Any) -> Any:
    """Return the dependency whose value are background tasks that join a session of the request's.

    Args:
        given: how the application's path operations ask for the session.
    """

    def joined_tasks(session: Any, tasks: Any) -> Any:
        return tasks.within(session)

    function: Any = joined_tasks
    filled = dependency_in(given)
    annotation = Annotated[Any, given] if given is filled else given
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature(
        [
            inspect.Parameter("session", kind, annotation=annotation),
            inspect.Parameter("tasks", kind, annotation=StarletteBackgroundTasks),
        ]
    )
    function.__signature__ = signature
    setattr(joined_tasks, _SESSION, filled)
    return Depends(joined_tasks)


def check(app: Any) -> None:
    """Make sure that jobs join the very sessions that path operations have.

    Raises:
        PostludeError: one has another session than its background tasks join. The message names its route.
    """
    for route, holder, _ in handlers(app):
        dependants = list(dependants_of(holder))
        for ours in dependants:
            if not hasattr(ours.call, _SESSION):
                continue
            session = ours.dependencies[0]
            same = [each for each in dependants if each.call is session.call]
            if not all(each.use_cache and scope_of(each) == scope_of(session) for each in same):
                path = getattr(holder, "path", "") or getattr(route, "path", "?")
                raise PostludeError(
                    f"The route {quoted(path)} has background tasks that join a session of "
                    f"{session.call.__qualname__}, but FastAPI gives its path operation, or another "
                    f"dependency, a session of its own, by another scope or use_cache=False: ask for it "
                    f"everywhere in the same way: one Annotated[...] for all, also for postlude.within(...)"
                )
