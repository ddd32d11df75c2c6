"""The dashboard is an extra: without it, whoever asks for it is told what to install."""

import sys

import pytest

from postlude import Access, Postlude, PostludeError
from postlude.dashboard import templating


def test_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templating, "check", without_jinja)
    with pytest.raises(PostludeError, match=r"pip install 'postlude\[dashboard\]'"):
        Postlude(store="memory").dashboard(auth=lambda request: Access.admin("ada"))


def without_jinja() -> None:
    raise ImportError("No module named 'jinja2'")


def test_nothing_of_it_is_needed_by_who_does_not_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    templating._environment.cache_clear()
    Postlude(store="memory")
    with pytest.raises(PostludeError, match="jinja2"):
        Postlude(store="memory").dashboard(auth="local")
