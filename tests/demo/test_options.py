"""What whoever starts the demo may choose."""

import sys
import webbrowser

import pytest

from demo.run import PortTaken, chosen_port, open_in_browser


@pytest.mark.parametrize(("text", "port"), [("", 0), ("0", 0), ("8123", 8123)])
def test_a_port(text: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", text)
    assert chosen_port() == port


@pytest.mark.parametrize("text", ["abc", "-1", "65536", "80.5"])
def test_what_is_no_port(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", text)
    with pytest.raises(PortTaken, match="give a number up to 65535"):
        chosen_port()


@pytest.mark.parametrize(
    ("display", "terminal", "opened"),
    [(":0", True, ["http://127.0.0.1:8000/background/"]), ("", True, []), (":0", False, [])],
)
def test_the_dashboard_is_opened_where_there_is_a_screen(
    display: str, terminal: bool, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(webbrowser, "open", seen.append)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    open_in_browser("http://127.0.0.1:8000/background/")
    assert seen == opened
