"""Statements that go to the server together: one round trip, past the driver's cursors.

Each round trip of the writer's thread is a fight for the interpreter with the loop, and what the driver makes
of a statement costs as much again: where one group follows another, that is most of what a group costs.
"""

import select
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import errors
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult

_BYTEA: Final = 17
_GOOD: Final = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK})

Value = tuple[bytes | None, int]
"""A parameter as the server is given it, and its format."""


class Statement(NamedTuple):
    """One that is prepared when it is sent for the first time.

    Attributes:
        name: its own.
        words: what it says.
        values: its parameters.
    """

    name: str
    words: str
    values: Sequence[Value] = ()


BEGIN: Final = Statement("begin", "BEGIN")
COMMIT: Final = Statement("commit", "COMMIT")
ROLLBACK: Final = Statement("rollback", "ROLLBACK")


class Failed(Exception):
    """A statement has failed, and all after it were passed over.

    Attributes:
        place: which of them; None: the connection was lost, and it is not known at which.
        error: what the server, or the driver, has said.
    """

    def __init__(self, place: int | None, error: psycopg.Error) -> None:
        super().__init__(str(error))
        self.place = place
        self.error = error


class Together:
    """Sends statements by one connection. Used by one thread at a time.

    Args:
        pg: the connection, as the driver has it. Nothing else goes on there meanwhile.
    """

    def __init__(self, pg: PGconn) -> None:
        self._pg = pg
        self._prepared: set[str] = set()
        self._socket = select.poll()
        self._socket.register(self._pg.socket, select.POLLIN)

    def send(self, statements: Sequence[Statement]) -> list[PGresult]:
        """Run them in order; returns their results.

        Raises:
            Failed: one of them did.
        """
        pg = self._pg
        places: list[tuple[int, bool]] = []
        """Of each result that is to come: of which statement, and whether it is of its preparation."""
        known = set(self._prepared)
        try:
            pg.enter_pipeline_mode()
            for place, (name, words, values) in enumerate(statements):
                named = name.encode("ascii")
                if name not in known:
                    known.add(name)
                    pg.send_prepare(named, words.encode("utf-8"))
                    places.append((place, True))
                pg.send_query_prepared(
                    named, [value for value, _ in values], [format for _, format in values]
                )
                places.append((place, False))
            pg.pipeline_sync()
            found = self._results(len(places) + 1)
            pg.exit_pipeline_mode()
        except psycopg.Error as error:
            raise Failed(None, error) from error
        answers: list[PGresult] = []
        for (place, is_preparation), result in zip(places, found, strict=True):
            if result.status not in _GOOD:
                raise Failed(place, _error(result))
            if is_preparation:
                self._prepared.add(statements[place].name)
            else:
                answers.append(result)
        return answers

    def _results(self, number: int) -> list[PGresult]:
        """Wait for so many results, the last of which says that there are no more."""
        pg, found = self._pg, list[PGresult]()
        is_sent = False
        while True:
            if not is_sent:
                is_sent = not pg.flush()
                wanted = select.POLLIN if is_sent else select.POLLIN | select.POLLOUT
                self._socket.modify(pg.socket, wanted)
            for _, ready in self._socket.poll():
                if ready & ~select.POLLOUT:
                    pg.consume_input()
            while not pg.is_busy():
                result = pg.get_result()
                if result is None:  # one statement's results end with it
                    if pg.status != ConnStatus.OK:
                        raise _lost(pg, found)
                    continue
                if result.status == ExecStatus.PIPELINE_SYNC:
                    assert len(found) == number - 1
                    return found
                found.append(result)


def _lost(pg: PGconn, found: Sequence[PGresult]) -> psycopg.Error:
    """Return why a connection has ended: what the server has said last, if it has."""
    for result in found:
        if result.status not in _GOOD:
            return _error(result)
    return psycopg.OperationalError(pg.get_error_message().strip())


def _error(result: PGresult) -> psycopg.Error:
    state = result.error_field(DiagnosticField.SQLSTATE)
    try:
        kind: type[psycopg.Error] = errors.lookup((state or b"").decode("ascii"))
    except KeyError:
        kind = psycopg.DatabaseError
    return kind(result.error_message.decode("utf-8", "replace").strip())


def number(value: int) -> Value:
    """Return a number as a parameter."""
    return b"%d" % value, Format.TEXT


def text(value: str) -> Value:
    """Return a text as a parameter.

    Raises:
        psycopg.DataError: there is a NUL in it, or half a character.
    """
    return _encoded(value), Format.TEXT


def array(values: Sequence[Any]) -> Value:
    """Return a column's values as one parameter: all of them numbers, or texts, or bytes; or None.

    Raises:
        psycopg.DataError: there is a NUL in a text, or half a character.
    """
    kinds = set(map(type, values))
    if all(issubclass(kind, int) for kind in kinds):  # `True` and a state are numbers, too
        return b"{%b}" % ",".join(map(int.__repr__, values)).encode("ascii"), Format.TEXT
    if bytes in kinds:
        return _bytes(values), Format.BINARY
    if kinds == {str}:
        joined = '","'.join(values)
        if "\\" not in joined and joined.count('"') == 2 * (len(values) - 1):
            return _encoded(f'{{"{joined}"}}'), Format.TEXT
    return _encoded(f"{{{','.join(map(_written, values))}}}"), Format.TEXT


def _written(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"{}"'.format(str(value).replace("\\", "\\\\").replace('"', '\\"'))
    return repr(float(value)) if isinstance(value, float) else str(int(value))


def _bytes(values: Sequence[bytes | None]) -> bytes:
    """Return them as the server's own form of an array has them: hexadecimal digits are twice as many."""
    head = (1, int(None in values), _BYTEA, len(values), 1)
    return b"".join([*_four(head), *(part for value in values for part in _with_length(value))])


def _four(values: Iterable[int]) -> Iterable[bytes]:
    return map(int.to_bytes, values, repeat(4))


def _with_length(value: bytes | None) -> tuple[bytes, bytes]:
    return (b"\xff\xff\xff\xff", b"") if value is None else (len(value).to_bytes(4), value)


def _encoded(value: str) -> bytes:
    if "\0" in value:
        raise psycopg.DataError("PostgreSQL has no texts with the character NUL in them")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise psycopg.DataError(f"PostgreSQL has no texts with half a character in them: {error}") from error
