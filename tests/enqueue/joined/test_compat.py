"""The name of SQLAlchemy's that nothing promises."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from postlude.compat import connections_of


@pytest.fixture
def session() -> Session:
    return Session(create_engine("sqlite://", poolclass=StaticPool))


def test_a_session_has_no_connection_before_it_uses_one(session: Session) -> None:
    with session.begin() as transaction:
        assert connections_of(transaction) == []


def test_the_connections_of_its_transaction_each_once(session: Session) -> None:
    with session.begin() as transaction:
        session.execute(text("SELECT 1"))
        assert connections_of(transaction) == [session.connection()]


def test_those_of_a_savepoint(session: Session) -> None:
    with session.begin(), session.begin_nested() as savepoint:
        session.execute(text("SELECT 1"))
        assert connections_of(savepoint) == [session.connection()]
