"""What the scope of a request tells."""

from typing import Any

from starlette.responses import Response
from starlette.types import Scope

from postlude.compat import is_empty


def may_be_held(scope: Scope, response: Any, facts: "Facts | None") -> bool:
    """Whether a response may be sent after the framework has closed what belongs to the request.

    It has its whole body in memory, and no dependency of the request's scope is open: one that is
    must see a 503, and must leave after the response.
    """
    if facts is None or facts.stack is None or not is_empty(scope.get(facts.stack)):
        return False
    return type(response).__call__ is Response.__call__


def client_waits(scope: Scope) -> bool:
    """Whether a test client asks, which expects what FastAPI's own tasks do: that the jobs have run."""
    if scope["type"] == "http":
        extensions = scope.get("extensions")
        return extensions is not None and "http.response.debug" in extensions
    client = scope.get("client")
    return client is not None and client[0] == "testclient"


class Facts:
    """What is found out once per route.

    Args:
        stack: where the framework keeps, in a scope, what leaves after the response; None: it closes nothing.
    """

    __slots__ = ("stack", "strict")

    def __init__(self, stack: str | None = None) -> None:
        self.stack = stack
        self.strict: bool | None = None
