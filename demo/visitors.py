"""Visitors: who they are, a cookie says; each is told of their own jobs only, an upload for instance."""

from typing import Annotated
from uuid import uuid4

from fastapi import Cookie, Response

NAME = "visitor"

Visitor = Annotated[str | None, Cookie(alias=NAME, min_length=1, max_length=64)]


def visitor(known: Visitor = None) -> str | None:
    """Return who asks; None: nobody that the page has seen."""
    return known


def greet(response: Response, known: str | None) -> None:
    """Give a cookie to whoever has none."""
    if not known:
        response.set_cookie(NAME, uuid4().hex, httponly=True, samesite="strict")
