"""The connection is cut at each message of a group: what is answered is true, and the journal goes on.

The server sees the same of a process that is killed there.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import psycopg
import pytest

from postlude.errors import JournalUnavailable
from postlude.model.job import NewJob
from postlude.model.outcome import SUCCEEDED, Finish
from postlude.stores.grouped.backend import Verb
from postlude.stores.postgres import PostgresStore
from postlude.stores.protocol import NewRunner
from postlude.stores.reply import Reply
from tests.servers.cutting import Cut, CuttingProxy
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.process, pytest.mark.disk]

PATIENCE: Final = 20.0
TASK: Final = "shop:send"
MOST: Final = 200
"""Messages that a group has at most."""


@pytest.fixture
def proxy(server: PostgresServer) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(server.port)
    yield proxy
    proxy.close()


@pytest.fixture
def store(proxy: CuttingProxy, server: PostgresServer, schema: str) -> Iterator[PostgresStore]:
    url = server.url.replace(str(server.port), str(proxy.port)) + "?sslmode=disable&gssencmode=disable"
    store = PostgresStore(url, schema=schema)
    store.open()
    yield store
    proxy.disarm()
    store.close()


def job(number: int) -> NewJob:
    return NewJob(number.to_bytes(16), TASK, "default", b"{}", 1)


def asked_together(store: PostgresStore, ahead: int, *calls: tuple[Verb, Any]) -> list[Reply[Any]]:
    """Ask for several things in one group: the writer begins when all are there, with so many numbers."""
    backend: Any = store._writer._backend  # type: ignore[union-attr]
    begin, replies = backend.begin, list[Reply[Any]]()

    def begin_when_all_is_there(jobs: int = 0) -> None:
        backend.begin = begin
        while len(replies) < len(calls):
            time.sleep(0.001)
        begin(ahead)

    backend.begin = begin_when_all_is_there
    for call in calls:
        replies.append(store._ask(*call))
    return replies


def answered(reply: Reply[Any]) -> Any:
    """Return an answer; None: it was 503."""
    with suppress(JournalUnavailable):
        return reply.wait(PATIENCE)
    return None


@pytest.mark.parametrize("how", Cut)
@pytest.mark.parametrize("ahead", [2, 0], ids=["two round trips", "several"])
def test_what_is_answered_is_true(
    store: PostgresStore, proxy: CuttingProxy, server: PostgresServer, schema: str, how: Cut, ahead: int
) -> None:
    """An end and two adds in one group, of which the journal has all that was answered, and nothing else."""
    runner = store.enlist(NewRunner("r", 60.0)).wait(PATIENCE).runner
    numbers = iter(range(1, 10_000))
    expected: dict[bytes, int] = {}
    cuts = refused = 0
    with psycopg.connect(server.url, autocommit=True) as beside:
        for message in range(1, MOST):
            first, before, claimed, plain = (job(next(numbers)) for _ in range(4))
            ended_before, held = store.add([first, before], claim_for=runner).wait(PATIENCE)
            end = Finish(held.seq, held.fence, TASK, 1, 2, SUCCEEDED)
            # On a new connection, what names and limits there are has to be read first.
            assert store.finish([end._replace(seq=ended_before.seq)]).wait(PATIENCE) == [True]
            expected[first.id] = 8
            proxy.cut_at(message, how)
            ended, *added = asked_together(
                store,
                ahead,
                (Verb.FINISH, [end]),
                (Verb.ADD, ([claimed], runner)),
                (Verb.ADD, ([plain], runner)),
            )
            answers = [answered(one) for one in (ended, *added)]
            proxy.disarm()
            was_cut = proxy.was_cut.is_set()
            cuts += was_cut
            refused += sum(answer is None for answer in answers)
            expected[before.id] = 8 if answers[0] is not None else 3
            for one, answer in zip((claimed, plain), answers[1:], strict=True):
                if answer is not None:
                    expected[one.id] = 3
            if not was_cut:
                break
        else:
            pytest.fail(f"a group has more than {MOST} messages")
        found: dict[bytes, int] = dict(
            beside.execute(f"SELECT id, state FROM {schema}.job WHERE state <> 10").fetchall()
        )
        assert found == expected
        tally = "SELECT state, sum(n) FROM (TABLE {0}.stat UNION ALL TABLE {0}.tally) AS t GROUP BY state"
        counted = {state: int(n) for state, n in beside.execute(tally.format(schema)).fetchall() if n}
        states = [state for (state,) in beside.execute(f"SELECT state FROM {schema}.job").fetchall()]
        assert counted == {state: states.count(state) for state in set(states)}
    assert cuts > 20
    if ahead:
        assert refused == 0, "what is lost with the commit is asked after, and tried again"
