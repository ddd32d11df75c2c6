"""What whoever starts the demo may choose."""

import pytest

from demo.run import PortTaken, chosen_port


@pytest.mark.parametrize(("text", "port"), [("", 0), ("0", 0), ("8123", 8123)])
def test_a_port(text: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", text)
    assert chosen_port() == port


@pytest.mark.parametrize("text", ["abc", "-1", "65536", "80.5"])
def test_what_is_no_port(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", text)
    with pytest.raises(PortTaken, match="give a number up to 65535"):
        chosen_port()
