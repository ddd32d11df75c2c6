"""Jobs in transactions of a database that has the journal too."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from postlude import Postlude
from tests.enqueue.joined.cases import Found, JoinedCases
from tests.enqueue.joined.kinds import POSTGRES, Begin, Kind, called

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.process,
    pytest.mark.filterwarnings("ignore:.*session.exec:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:transaction already deassociated"),
]


@pytest.fixture(params=list(POSTGRES))
async def begin(request: pytest.FixtureRequest, postlude: Postlude, database: str) -> AsyncIterator[Begin]:
    kind = Kind(postlude, database)
    yield POSTGRES[request.param](kind)
    await kind.end()


@pytest.fixture
def found(postlude: Postlude, database: str) -> Found:
    async def look() -> tuple[list[int], list[int]]:
        await postlude.components.store.promote()
        with psycopg.connect(database) as db:
            data = [n for (n,) in db.execute("SELECT n FROM orders ORDER BY n")]
            each = "SELECT n FROM postlude.stat UNION ALL SELECT n FROM postlude.tally"
            (counted,) = db.execute(f"SELECT coalesce(sum(n), 0) FROM ({each}) AS each").fetchone() or (None,)
        jobs = await called(postlude)
        assert counted == len(jobs)
        return data, jobs

    return look


class TestPostgres(JoinedCases):
    pass
