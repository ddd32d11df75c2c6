"""Processes that are killed while jobs join transactions: afterwards, data and jobs have to be the same.

`python -m tests.enqueue.joined.killing --kills 200` does it with every kind of session and connection.
"""

import argparse
import asyncio
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import create_engine, text

from postlude import Postlude
from tests.enqueue.joined.kinds import MYSQL, POSTGRES, SQLITE, TABLE, Kind, Undone, called
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgres import PostgresServer

FORK = multiprocessing.get_context("fork")
LOOKING = {"sqlite": "sqlite", "mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg"}


class Place(NamedTuple):
    """Where the data are, and the journal."""

    database: str
    journal: str

    def looking(self) -> Any:
        """Return an engine for the test's own look."""
        scheme, rest = self.database.split("://", 1)
        return create_engine(f"{LOOKING[scheme]}://{rest}")


async def _work(place: Place, name: str, first: int, ready: Connection) -> None:
    """Store orders with their jobs until the process is killed; of five, one is undone."""
    postlude = Postlude(store=place.journal, packages=["tests"])
    kind = Kind(postlude, place.database)
    begin = (POSTGRES | SQLITE | MYSQL)[name](kind)
    if name not in POSTGRES:
        postlude.outbox(kind.engine)
    await postlude.open()
    n = first
    while True:
        with suppress(Undone):
            async with begin() as tx:
                await tx.order(n)
                if n % 5 == 0:
                    raise Undone
        n += 1
        if n == first + 1:
            ready.send(None)


def _child(place: Place, name: str, first: int, ready: Connection) -> None:
    asyncio.run(_work(place, name, first, ready))


async def _found(place: Place, name: str) -> tuple[list[int], list[int]]:
    """Return the data and the jobs, when a new process has taken over what the killed ones have left."""
    postlude = Postlude(store=place.journal, packages=["tests"])
    kind = Kind(postlude, place.database)
    (POSTGRES | SQLITE | MYSQL)[name](kind)
    engine = place.looking()
    try:
        if name not in POSTGRES:
            postlude.outbox(kind.engine)
        await postlude.open()
        await postlude.components.store.promote()
        with engine.connect() as db:
            while name not in POSTGRES and db.execute(text("SELECT count(*) FROM postlude_outbox")).scalar():
                db.rollback()
                await asyncio.sleep(0.05)
            data = sorted(db.execute(text("SELECT n FROM orders")).scalars())
        return data, await called(postlude)
    finally:
        await postlude.close()
        await kind.end()
        engine.dispose()


def kill(place: Place, name: str, kills: int, rng: random.Random) -> tuple[list[int], list[int]]:
    """Kill so many processes, each at a moment of its own; returns data and jobs."""
    engine = place.looking()
    with engine.begin() as db:
        for word in ("DROP TABLE IF EXISTS orders", "DROP TABLE IF EXISTS postlude_outbox", TABLE):
            db.execute(text(word))
    engine.dispose()
    for number in range(kills):
        heard, says = FORK.Pipe(duplex=False)
        process = FORK.Process(target=_child, args=(place, name, number * 100_000 + 1, says))
        process.start()
        says.close()
        heard.recv()  # EOFError: it could not start
        time.sleep(rng.uniform(0, 0.05))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        heard.close()
    return asyncio.run(_found(place, name))


def emptied(server: PostgresServer) -> Place:
    """Return the place of a server's database, without a journal."""
    with psycopg.connect(server.url, autocommit=True) as db:
        db.execute("DROP SCHEMA IF EXISTS postlude CASCADE")
    return Place(server.url, server.url)


def main() -> int:
    """Kill processes of every kind, and say what is different afterwards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("kinds", nargs="*", default=[*POSTGRES, *SQLITE, *MYSQL])
    given = parser.parse_args()
    different = 0
    postgres, mariadb = PostgresServer(), MariaDBServer()
    try:
        for name in given.kinds:
            with tempfile.TemporaryDirectory() as folder:
                place = (
                    emptied(postgres)
                    if name in POSTGRES
                    else Place(mariadb.url, f"sqlite:///{folder}/journal.db")
                    if name in MYSQL
                    else Place(f"sqlite:///{folder}/shop.db", f"sqlite:///{folder}/journal.db")
                )
                began = time.monotonic()
                data, jobs = kill(place, name, given.kills, random.Random(given.seed))
            different += data != jobs
            lost, invented = len(set(data) - set(jobs)), len(jobs) - len(set(data) & set(jobs))
            sys.stdout.write(
                f"{name}: {given.kills} kills, {len(data)} orders, {len(jobs)} jobs, {lost} lost, "
                f"{invented} without data or twice, {time.monotonic() - began:.0f} s\n"
            )
            sys.stdout.flush()
    finally:
        postgres.close()
        mariadb.close()
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
