"""`Postlude.router`: the routes that tell of an application's jobs."""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from postlude.app.components import Components
from postlude.jobs.inspector import Inspector

if TYPE_CHECKING:
    from fastapi import APIRouter


class Asked(Protocol):
    """Whose jobs are told of. Implemented by `postlude.app.postlude.Postlude`."""

    @property
    def inspector(self) -> Inspector:
        """Looks at jobs."""
        ...

    @property
    def components(self) -> Components:
        """Its journal, and what works with it."""
        ...


def router(
    self: Asked,
    *,
    prefix: str = "",
    dependencies: Sequence[Any] | None = None,
    owner: Callable[..., Any] | None = None,
    errors: Literal["code", "type", "text"] = "code",
    show: Collection[Literal["task", "queue", "arguments"]] = (),
    **options: Any,
) -> "APIRouter":
    """Return a router that tells of jobs at `GET {prefix}/{id}`, tells it again whenever they have
    changed at `GET {prefix}/{id}/events`, and cancels them at `POST {prefix}/{id}/cancel`.

    Args:
        prefix: of its paths.
        dependencies: FastAPI's, for instance to see who asks.
        owner: says who asks, a text or None; a dependency of FastAPI, or a function of the request. Then
            each is told of their own jobs only: those that were stored with this owner.
        errors: how much to tell of why a job failed: a code in one word; `"type"`, the class of the
            exception too; `"text"`, what it said too, which may hold secrets.
        show: what else to tell: `"task"` and `"queue"`, on which clients then depend; `"arguments"`,
            which may hold secrets.
        options: further arguments of `fastapi.APIRouter`.

    Raises:
        ValueError: `errors` or `show` is none of the choices.
    """
    from postlude.web.status import status_router

    return status_router(
        lambda: self.inspector,
        prefix=prefix,
        dependencies=dependencies,
        owner=owner,
        errors=errors,
        show=show,
        control=lambda: self.components.control,
        subscription=lambda id: self.components.hub.subscription(id),
        **options,
    )
