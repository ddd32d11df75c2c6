"""Whether the server that a request came by still takes connections."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postlude.web import sockets
from postlude.web.sockets import sockets_of


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_KNOWN", {})


def listening() -> socket.socket:
    one = socket.create_server(("127.0.0.1", 0))
    one.set_inheritable(False)
    return one


@pytest.fixture
def one() -> Iterator[socket.socket]:
    with listening() as one:
        yield one


def scope(one: socket.socket) -> dict[str, Any]:
    return {"server": one.getsockname()}


def test_it_does_until_its_socket_is_closed(one: socket.socket) -> None:
    found = sockets_of(scope(one))
    assert (found.known, found.closed) == (True, False)
    one.close()
    assert found.closed


def test_a_file_that_has_the_number_now_is_not_taken_for_it(one: socket.socket) -> None:
    found, number = sockets_of(scope(one)), one.fileno()
    others = socket.socketpair()
    one.close()
    os.dup2(others[0].fileno(), number)
    assert found.closed
    os.close(number)
    for other in others:
        other.close()


def test_one_of_several_is_enough(one: socket.socket) -> None:
    again = socket.socket(fileno=os.dup(one.fileno()))
    found = sockets_of(scope(one))
    one.close()
    assert not found.closed
    again.close()
    assert found.closed


def test_those_of_others_do_not_count(one: socket.socket) -> None:
    with listening() as other, socket.create_connection(one.getsockname()):
        found = sockets_of({"server": (one.getsockname()[0], str(one.getsockname()[1]))})
        other.close()
        assert not found.closed
        one.close()
        assert found.closed, "a connection to it is none at which it takes them"


def test_a_server_without_an_address_has_all(one: socket.socket) -> None:
    with listening() as other:
        found = sockets_of({"server": None})
        one.close()
        assert not found.closed
        other.close()
        assert found.closed


def test_a_unix_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # their paths must be short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("s")
        one.listen()
        found, other = sockets_of({"server": ("s", None)}), sockets_of({"server": ("t", None)})
        assert (found.known, other.known) == (True, False)
    assert found.closed


def test_a_client_of_tests_comes_by_no_socket(one: socket.socket) -> None:
    found = sockets_of({"server": ("testserver", 80)})
    one.close()
    assert (found.known, found.closed) == (False, False)


def test_files_are_looked_through_once(one: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = scope(one)
    found = sockets_of(asked)
    with monkeypatch.context() as patched:
        patched.setattr(sockets, "ServerSockets", None)
        assert sockets_of(asked) is found
    one.close()
    assert sockets_of(asked) is found, "a stream that begins when the server stops ends at once"


def test_a_server_that_is_started_again_has_new_ones() -> None:
    with listening() as first:
        address = first.getsockname()
        before = sockets_of({"server": address})
    with socket.create_server(address) as second:
        after = sockets_of(scope(second))
        assert (before.closed, after.closed) == (True, False)


def test_where_the_system_does_not_tell_of_files_nothing_is_known(
    one: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "_FILES", "/nowhere")
    assert not sockets_of(scope(one)).known
