"""The pictures of the documentation: all are shown, none is missing, none is large."""

import re

from scripts.pictures import IMAGES, MOST, ROOT

PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]


def test_each_is_shown_and_is_there() -> None:
    shown = {
        name
        for page in PAGES
        for name in re.findall(r"images/([\w.-]+\.(?:png|svg))", page.read_text("utf-8"))
    }
    assert shown == {path.name for path in IMAGES.iterdir()}
    assert len(shown) >= 4


def test_none_is_large() -> None:
    assert [path.name for path in IMAGES.iterdir() if path.stat().st_size > MOST] == []
