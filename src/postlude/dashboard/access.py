"""Access: who looks at the dashboard, what they see, and what they may do."""

import ipaddress
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from starlette.requests import Request
from starlette.responses import Response

from postlude.errors import PostludeError
from postlude.messages.quoting import quoted

See = Literal["arguments", "results", "logs"]
"""What may hold people's data, and is hidden from those who do not need it."""

Right = Literal["retry", "cancel", "delete", "pause", "edit", "run_schedule"]
"""What can be done. `pause` is also to resume, `edit` to run a job again with changes."""

SEES: Final[frozenset[See]] = frozenset(get_args(See))
RIGHTS: Final[frozenset[Right]] = frozenset(get_args(Right))


@dataclass(frozen=True, slots=True)
class Access:
    """Who looks, and what they may see and do.

    Args:
        user: who it is, as the audit names them.
        see: what they see of jobs beside their states: `"arguments"`, `"results"`, `"logs"`.
        act: what they may do: `"retry"`, `"cancel"`, `"delete"`, `"pause"`, `"edit"`, `"run_schedule"`.

    Raises:
        TypeError: `user` is no text.
        ValueError: `see` or `act` has something else in it.
    """

    user: str
    see: AbstractSet[See] = field(default_factory=frozenset)
    act: AbstractSet[Right] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        if not isinstance(self.user, str) or not self.user:
            raise TypeError(f"Access(user={quoted(self.user)}): give a text that names who it is")
        for name, known in (("see", SEES), ("act", RIGHTS)):
            given = getattr(self, name)
            if isinstance(given, str) or not known.issuperset(given):
                told = ", ".join(map(repr, sorted(known)))
                raise ValueError(f"Access({name}={quoted(given)}): give some of {{{told}}}")
            object.__setattr__(self, name, frozenset(given))

    @classmethod
    def reader(cls, user: str) -> "Access":
        """Return access that sees states, times and errors, and does nothing."""
        return cls(user)

    @classmethod
    def admin(cls, user: str) -> "Access":
        """Return access that sees and may do everything."""
        return cls(user, SEES, RIGHTS)


Ask = Callable[[Request], Awaitable[Any]]
"""Says who a request is of: an `Access`, None, or a response such as the way to a login."""

LOCAL: Final = "local"


class NoAccess(PostludeError):
    """Nobody who may look at the dashboard has sent this request."""


async def access_of(request: Request, ask: Ask) -> Access | Response:
    """Return who has sent a request, or what they are answered instead.

    Raises:
        NoAccess: nobody who may look.
        TypeError: `auth=` has given something else.
    """
    found = await ask(request)
    if found is None:
        raise NoAccess("nobody who may look at the dashboard has sent this request")
    if isinstance(found, Access | Response):
        return found
    raise TypeError(
        f"auth= has given {quoted(found)}: let it return postlude.Access, such as Access.admin(user.name), "
        f"or None for people who may not look"
    )


async def ask_locally(request: Request) -> Access | None:
    """Give everything to who sits at this machine, and nothing to others: `auth="local"`.

    A proxy on this machine would make everybody local, so a request that has come through one is refused,
    and so is one that names this machine by a name of the internet (DNS rebinding).
    """
    if request.client is None or not is_loopback(request.client.host):
        return None
    if any(name in request.headers for name in FORWARDED):
        return None
    return Access.admin("local") if is_loopback_name(request.headers.get("host", "")) else None


FORWARDED: Final = (
    "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via",
    "x-client-ip", "cf-connecting-ip", "true-client-ip",
)  # fmt: skip
"""Headers that proxies add."""


def is_loopback(host: str) -> bool:
    """Whether an address is one of this machine's own."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def is_loopback_name(host: str) -> bool:
    """Whether a `Host` header names this machine itself."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.strip("[]").lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost") or is_loopback(name)
