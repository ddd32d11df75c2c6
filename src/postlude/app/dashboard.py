"""`Postlude.dashboard`: the pages that show an application's jobs, and act on them."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol

from starlette.applications import Starlette
from starlette.requests import Request

from postlude.app.components import Components
from postlude.dashboard.access import LOCAL, ask_locally
from postlude.errors import PostludeError
from postlude.frameworks.asking import ApplicationQuestion

if TYPE_CHECKING:
    from postlude.dashboard.app import Dashboard


class Shown(Protocol):
    """Whose jobs are shown. Implemented by `postlude.app.postlude.Postlude`."""

    application: Starlette | None

    @property
    def components(self) -> Components:
        """Its journal, and what works with it."""
        ...


def dashboard(
    self: Shown,
    *,
    auth: Callable[..., Any] | Literal["local"],
    title: str | None = None,
    environment: str = "",
) -> "Dashboard":
    """Return an ASGI application with pages that show jobs, queues, schedules and processes, and act on them.

    For `app.mount("/background", postlude.dashboard(auth=require_admin))`.

    Args:
        auth: says who asks: a dependency of FastAPI, or a function of the request, that returns
            `Access.admin(user)`, `Access.reader(user)` or an `Access` of its own; None: 404. What it raises
            is the answer, a `Response` that it returns too. `"local"`: everything for who sits at this
            machine, for development; behind a proxy it is 404.
        title: the application's name, above all pages; by default that of the application.
        environment: where it runs, beside the name; `"production"` is told by colour too.

    Raises:
        PostludeError: the extra is not installed, or `auth` is no function.
    """
    try:
        from postlude.dashboard.app import Dashboard
        from postlude.dashboard.site import Look
        from postlude.dashboard.templating import check
    except ImportError as error:
        raise _missing(error) from None
    try:
        check()
    except ImportError as error:
        raise _missing(error) from None
    if title is None:
        title = str(getattr(self.application, "title", "") or "Background jobs")
    return Dashboard(lambda: self.components, _ask(self, auth), Look(title, environment))


def _missing(error: ImportError) -> PostludeError:
    return PostludeError(f"the dashboard needs an extra: pip install 'postlude[dashboard]' ({error})")


def _ask(postlude: Shown, auth: Any) -> Callable[[Request], Awaitable[Any]]:
    if auth == LOCAL:
        return ask_locally
    question = ApplicationQuestion(auth, "auth=", "who may look at the dashboard")

    async def ask(request: Request) -> Any:
        if postlude.application is not None:
            question.join(postlude.application)
        return await question(request.scope)

    return ask
