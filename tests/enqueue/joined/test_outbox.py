"""Jobs in transactions of a database that does not have the journal: they wait in a table there."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from postlude import CannotJoin, Config, JobNotFound, JournalUnavailable, Postlude
from postlude.app.measuring import measured, measured_here
from postlude.enqueue.joined import outbox, taking_over
from postlude.enqueue.joined.outbox import Outbox
from postlude.model.event.jobs import JobsAdded
from postlude.stores.protocol import Store
from tests.enqueue.joined.cases import Found, JoinedCases
from tests.enqueue.joined.kinds import MYSQL, SQLITE, TABLE, Begin, Kind, called, note
from tests.servers.mariadb import INSTALL, MariaDBServer, program

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.process,
    pytest.mark.disk,
    pytest.mark.filterwarnings("ignore:.*session.exec:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:transaction already deassociated"),
]

DRIVER = {"sqlite": "sqlite", "mysql": "mysql+pymysql"}


def looking(url: str) -> str:
    """Return the URL for the test's own look."""
    scheme, rest = url.split("://", 1)
    return f"{DRIVER[scheme]}://{rest}"


@pytest.fixture
async def kind(url: str, tmp_path: Path) -> AsyncIterator[Kind]:
    kind = Kind(Postlude(store=f"sqlite:///{tmp_path}/journal.db", packages=["tests"]), url)
    engine = create_engine(looking(url))
    with engine.begin() as db:
        db.execute(text(TABLE))
    engine.dispose()
    yield kind
    await kind.postlude.close()
    await kind.end()


@pytest.fixture
def postlude(kind: Kind) -> Postlude:
    return kind.postlude


@pytest.fixture
async def begin(making: str, kind: Kind) -> Begin:
    begin = (SQLITE | MYSQL)[making](kind)
    kind.postlude.outbox(kind.engine)
    await kind.postlude.open()
    return begin


@pytest.fixture
def found(postlude: Postlude, url: str) -> Found:
    async def look() -> tuple[list[int], list[int]]:
        engine = create_engine(looking(url))
        try:
            for _ in range(500):
                with engine.connect() as db:
                    data = list(db.execute(text("SELECT n FROM orders ORDER BY n")).scalars())
                    left = db.execute(text("SELECT count(*) FROM postlude_outbox")).scalar_one()
                if not left:
                    return data, await called(postlude)
                await asyncio.sleep(0.02)
            raise AssertionError(f"{left} jobs are left in the outbox")
        finally:
            engine.dispose()

    return look


class TestSqlite(JoinedCases):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/shop.db"

    @pytest.fixture(params=list(SQLITE))
    def making(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDBServer]:
    if program() is None:
        pytest.skip(f"no MariaDB here: {INSTALL}")
    server = MariaDBServer()
    yield server
    server.close()


class TestMySQL(JoinedCases):
    @pytest.fixture
    def url(self, mariadb: MariaDBServer) -> Iterator[str]:
        yield mariadb.url
        engine = create_engine(looking(mariadb.url))
        with engine.begin() as db:
            for table in ("orders", "postlude_outbox"):
                db.execute(text(f"DROP TABLE IF EXISTS {table}"))
        engine.dispose()

    @pytest.fixture(params=list(MYSQL))
    def making(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)


async def test_a_database_without_an_outbox_is_refused(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    postlude = Postlude(store=f"sqlite:///{tmp_path}/journal.db", packages=["tests"])
    await postlude.open()
    with engine.connect() as connection, pytest.raises(CannotJoin, match=r"postlude\.outbox\(engine\)"):
        postlude.within(connection)
    await postlude.close()


async def test_in_postgresql_the_journal_could_be_there_itself(tmp_path: Path) -> None:
    session = Session(create_engine("postgresql+psycopg://nobody@nowhere/shop"))
    postlude = Postlude(store=f"sqlite:///{tmp_path}/journal.db", packages=["tests"])
    await postlude.open()
    with pytest.raises(CannotJoin, match=r"postlude\.outbox\(engine\); or have the journal there, store="):
        postlude.within(session)
    await postlude.close()


async def test_what_was_taken_over_by_a_process_that_died_then_is_there_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    engine = create_engine(url)
    postlude = Postlude(store=f"sqlite:///{tmp_path}/journal.db", packages=["tests"])
    postlude.outbox(engine)
    told: list[JobsAdded] = []
    postlude.components.store.events.listen(told.append, JobsAdded)
    await postlude.open()
    with engine.begin() as connection:
        postlude.within(connection).add_task(note, 1)
        kept = connection.execute(text("SELECT id, job FROM postlude_outbox")).all()
    while not await called(postlude):
        await asyncio.sleep(0.01)
    await postlude.close()
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM postlude_outbox"))
        for id, job in kept:  # as if it had not been deleted any more
            connection.execute(text("INSERT INTO postlude_outbox VALUES (:id, :job)"), {"id": id, "job": job})
        postlude.within(connection).add_task(note, 2)
    await postlude.open()
    while await called(postlude) != [1, 2]:
        await asyncio.sleep(0.01)
    with engine.connect() as connection:
        while connection.execute(text("SELECT count(*) FROM postlude_outbox")).scalar():
            connection.rollback()
            await asyncio.sleep(0.01)
    assert await called(postlude) == [1, 2]
    assert [b"1" in job.payload for event in told for job in event.jobs] == [True, False], "each once"
    await postlude.close()
    engine.dispose()


@pytest.mark.parametrize("driver", ["sqlite", "sqlite+aiosqlite"])
async def test_how_many_wait_is_told(tmp_path: Path, driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By metrics, which are read on a loop or in a thread."""
    monkeypatch.setattr(Outbox, "_look", lambda outbox: None)  # nothing is taken over
    url = f"{driver}:///{tmp_path}/shop.db"
    is_async = driver != "sqlite"
    engine = create_async_engine(url) if is_async else create_engine(url)
    postlude = Postlude(store=f"sqlite:///{tmp_path}/journal.db", packages=["tests"])
    postlude.outbox(engine)
    await postlude.open()
    assert (await measured(postlude.components)).outbox == 0
    if isinstance(engine, AsyncEngine):
        async with AsyncSession(engine) as session, session.begin():
            postlude.within(session).add_task(note, 1)
    else:
        with engine.begin() as connection:
            postlude.within(connection).add_task(note, 1)
    assert (await measured(postlude.components)).outbox == 1
    assert (await asyncio.to_thread(measured_here, postlude.components)).outbox == 1
    # The loop waits for this, so what has to be asked on it is not told.
    assert measured_here(postlude.components).outbox == (None if is_async else 1)
    with sqlite3.connect(tmp_path / "shop.db") as db:
        db.execute("DROP TABLE postlude_outbox")
    assert (await measured(postlude.components)).outbox is None
    await postlude.close()
    if isinstance(engine, AsyncEngine):
        await engine.dispose()
    else:
        engine.dispose()


class Held:
    """What waits in outboxes is taken over when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.go = asyncio.Event(), threading.Event()
        has = Outbox.has

        def take_over_later(store: Store, rows: Sequence[Any]) -> list[str]:
            assert self.go.wait(30)
            return taking_over.take_over(store, rows)

        async def has_told(self_: Outbox, id: bytes) -> bool:
            found = await has(self_, id)
            self.asked.set()
            return found

        monkeypatch.setattr(outbox, "take_over", take_over_later)
        monkeypatch.setattr(Outbox, "has", has_told)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    held = Held(monkeypatch)
    yield held
    held.go.set()


UNKNOWN: Final = "01a22a91-d72e-7000-b541-2b35fb556359"

LOOKS: Final[dict[str, Callable[[Postlude, str], Awaitable[object]]]] = {
    "inspector": lambda postlude, id: postlude.inspector.get(id),
    "job": lambda postlude, id: postlude.job(id),
}


@pytest.mark.parametrize("look", list(LOOKS))
@pytest.mark.parametrize("driver", ["sqlite", "sqlite+aiosqlite"])
async def test_a_committed_job_is_found_at_once(look: str, driver: str, tmp_path: Path, held: Held) -> None:
    url = f"{driver}:///{tmp_path}/shop.db"
    engine = create_async_engine(url) if "aio" in driver else create_engine(url)
    async with outbox_of(engine, tmp_path) as postlude:
        id = await committed(postlude, engine)
        asking = asyncio.ensure_future(LOOKS[look](postlude, id))
        await asyncio.wait([asking, asyncio.ensure_future(held.asked.wait())], return_when="FIRST_COMPLETED")
        assert not asking.done()
        held.go.set()
        assert getattr(await asking, "id", None) == id


async def test_its_handle_waits_for_it(tmp_path: Path, held: Held) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    async with outbox_of(engine, tmp_path) as postlude:
        with Session(engine) as session:
            job = postlude.within(session).add_task(note, 1)
            session.commit()
        asking = asyncio.ensure_future(job.status())
        await asyncio.wait([asking, asyncio.ensure_future(held.asked.wait())], return_when="FIRST_COMPLETED")
        assert not asking.done()
        held.go.set()
        assert not (await asking).cancel_asked


async def test_one_that_stays_in_the_outbox_is_no_unknown_one(tmp_path: Path, held: Held) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    async with outbox_of(engine, tmp_path, Config(budget=0.05)) as postlude:
        id = await committed(postlude, engine)
        with pytest.raises(JournalUnavailable, match="outbox"):
            await postlude.inspector.get(id)
        held.go.set()


async def test_an_id_that_no_outbox_has_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    async with outbox_of(engine, tmp_path) as postlude:
        with pytest.raises(JobNotFound):
            await postlude.inspector.get(UNKNOWN)

        def away(*_: object) -> object:
            raise OSError("away")

        monkeypatch.setattr(engine, "connect", away)
        with pytest.raises(JournalUnavailable, match="cannot be asked"):
            await postlude.inspector.get(UNKNOWN)
        monkeypatch.undo()


@asynccontextmanager
async def outbox_of(
    engine: Engine | AsyncEngine, folder: Path, config: Config | None = None
) -> AsyncIterator[Postlude]:
    postlude = Postlude(store=f"sqlite:///{folder}/journal.db", packages=["tests"], config=config)
    postlude.outbox(engine)
    await postlude.open()
    try:
        yield postlude
    finally:
        await postlude.close()
        await engine.dispose() if isinstance(engine, AsyncEngine) else engine.dispose()


async def committed(postlude: Postlude, engine: Engine | AsyncEngine) -> str:
    """Commit a transaction with a job; returns its id."""
    if isinstance(engine, AsyncEngine):
        async with AsyncSession(engine) as later, later.begin():
            return str(postlude.within(later).add_task(note, 1).id)
    with Session(engine) as session, session.begin():
        return str(postlude.within(session).add_task(note, 1).id)
