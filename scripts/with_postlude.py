"""A plug-in for pytest, for scripts/fastapi_suite.py: every FastAPI application gets a Postlude."""

import functools
from typing import Any

from fastapi import FastAPI

from postlude import Postlude

_make = FastAPI.__init__


@functools.wraps(_make)
def _make_with_postlude(self: FastAPI, *args: Any, **kwargs: Any) -> None:
    _make(self, *args, **kwargs)
    Postlude(self, store="memory")


FastAPI.__init__ = _make_with_postlude  # type: ignore[method-assign]
