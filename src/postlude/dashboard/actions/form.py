"""Forms: what a page has sent, who may send it, and where it goes on."""

import re
from typing import Final
from urllib.parse import parse_qs

from starlette.responses import RedirectResponse, Response

from postlude.dashboard.access import Right
from postlude.dashboard.site import Visit
from postlude.errors import PostludeError
from postlude.jobs.deeds import deed
from postlude.stores.values import Deed

LARGEST: Final = 2_000_000
"""Bytes of what is sent: the largest arguments that a job may have, and room."""

MOST_FIELDS: Final = 2000

_PLAIN: Final = re.compile(r"[\x21-\x7e]+")


class NotAllowed(PostludeError):
    """Whoever has sent a form may not do that."""


class BadForm(PostludeError):
    """A form does not say what is meant: no page of this dashboard has sent it."""


class Form:
    """What was sent.

    Args:
        fields: the values of each field.
    """

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self._fields = fields

    def one(self, name: str) -> str:
        """Return a field; empty if it was not sent."""
        return self._fields.get(name, [""])[0]

    def all(self, name: str) -> list[str]:
        """Return all values of a field."""
        return self._fields.get(name, [])

    def number(self, name: str) -> int:
        """Return a field that is a whole number.

        Raises:
            BadForm: it is none.
        """
        text = self.one(name)
        if not text.isascii() or not text.isdecimal() or len(text) > 18:
            raise BadForm(f"the form says no number of {name}; load the page anew")
        return int(text)

    def names(self) -> list[str]:
        """Return the names of the fields that were sent."""
        return list(self._fields)


async def read_form(visit: Visit) -> Form:
    """Read what was sent.

    Raises:
        BadForm: it is no form, or too large.
    """
    body = bytearray()
    async for chunk in visit.request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise BadForm(f"more was sent than {LARGEST:,} bytes")
    return _form_of(bytes(body))


def form_in_address(visit: Visit) -> Form:
    """Return what a form has put into the address.

    Raises:
        BadForm: it is no form.
    """
    return _form_of(visit.request.scope.get("query_string", b""))


def _form_of(sent: bytes) -> Form:
    try:
        text = sent.decode("ascii")
        fields = parse_qs(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="replace")
    except ValueError as error:
        raise BadForm(f"what was sent is no form: {error}") from None
    return Form(fields)


def need(visit: Visit, right: Right) -> None:
    """Make sure that whoever has sent a request may do something.

    Raises:
        NotAllowed: they may not.
    """
    if right not in visit.access.act:
        raise NotAllowed(f"{visit.access.user} may not do that: it needs the right {right!r}")


def by(visit: Visit, act: str, meant: str) -> Deed:
    """Return what is done, in the name of whoever has sent a request."""
    return deed(visit.access.user, act, meant)


def back(visit: Visit, form: Form, done: str = "", otherwise: str = "") -> Response:
    """Go back to the page that a form was on.

    Args:
        visit: the request.
        form: what was sent; it says where from.
        done: what is told there (`postlude.dashboard.site.said_of`).
        otherwise: where to, if it does not say, or names no page of the dashboard.
    """
    visit.pulse.forget()
    to = form.one("back")
    inside = to.startswith(f"{visit.root}/") and not to.startswith("//") and "\\" not in to
    if not inside or not _PLAIN.fullmatch(to):
        to = visit.url(otherwise)
    to = re.sub(r"(?<=[?&])done=[^&]*&?", "", to).rstrip("?&")
    return RedirectResponse(f"{to}{'&' if '?' in to else '?'}done={done}" if done else to, 303)
