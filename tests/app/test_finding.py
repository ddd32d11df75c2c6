"""An application is found by what a person types."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from postlude import Postlude
from postlude.app.finding import NoApplication, checked_application, find

SOURCE = """
import os
from fastapi import FastAPI
from postlude import Postlude
app, bare, number = FastAPI(), FastAPI(), 7
postlude = Postlude(app, store=f"sqlite:///{os.path.dirname(__file__)}/journal.db")
class inside:
    postlude = postlude
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "a_shop.py").write_text(SOURCE)
    (tmp_path / "a_broken_one.py").write_text("import nowhere_at_all")
    path = list(sys.path)
    yield str(tmp_path)
    sys.path[:] = path
    for name in ("a_shop", "a_broken_one"):
        sys.modules.pop(name, None)


def test_it_is_named_by_its_module_and_itself_or_its_application(folder: str) -> None:
    named = find("a_shop:postlude", folder)
    assert isinstance(named, Postlude)
    assert isinstance(named.application, FastAPI)
    assert named is find("a_shop:app", folder) is find("a_shop:inside.postlude", folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a_shop:nothing", "a_shop has no 'nothing': module 'a_shop' has no attribute 'nothing'"),
        ("a_shop:number", "a_shop:number is 7: name a Postlude, or an application that has one"),
        (
            "a_shop:bare",
            "a_shop:bare is an application without a Postlude: Postlude(app) gives it one, and "
            "postlude.install(app) one that is made already",
        ),
    ],
)
def test_what_has_no_postlude_is_refused(folder: str, text: str, message: str) -> None:
    with pytest.raises(NoApplication) as raised:
        find(text, folder)
    assert str(raised.value) == message


def test_a_module_that_is_not_there_and_one_that_misses_another(folder: str) -> None:
    with pytest.raises(NoApplication, match=f"there is no module 'a_shopp' in {folder}: write module:name"):
        find("a_shopp:postlude", folder)
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        find("a_broken_one:postlude", folder)


@pytest.mark.parametrize(
    "text", ["main", "main.py:postlude/x", "main:", ":postlude", "main:post lude", "a b:c"]
)
def test_what_names_no_application(text: str) -> None:
    with pytest.raises(NoApplication, match="write module:name, such as main:postlude"):
        checked_application(text)
