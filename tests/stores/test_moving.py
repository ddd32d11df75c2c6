"""Moving a journal: everything is there afterwards, once, whichever way it went, wherever it was killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg
import pytest

from postlude.clock import ManualClock, SystemClock
from postlude.errors import JournalRefused, JournalUnavailable
from postlude.model.job import JobFilter, JobRecord, NewJob, Progress, ProgressNote
from postlude.model.joining import Joining, text_of
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import Cancelled, Failed, LogLine, Parked, Succeeded
from postlude.model.state import Reason, State
from postlude.model.terms import Terms
from postlude.stores.location import StoreKind, StoreLocation, parse_location
from postlude.stores.moving import OF_PROCESSES, Moved, move
from postlude.stores.open import choose_store, open_reading, open_source, open_target
from postlude.stores.postgres import PostgresStore
from postlude.stores.protocol import NewRunner, Store
from postlude.stores.sqlite import SqliteStore
from postlude.testing.conformance import Driver, StoreBench
from postlude.testing.conformance.schedules import declare, fire, known, schedule

pytestmark = [pytest.mark.disk, pytest.mark.process]

PATIENCE: Final = 10.0
ROOT: Final = Path(__file__).parents[2]


class Bench(StoreBench):
    """A journal at a place that others can open as well."""

    def __init__(self, location: StoreLocation) -> None:
        self.location = location

    def make(self, clock: ManualClock) -> Store:
        if self.location.kind is StoreKind.SQLITE:
            return SqliteStore(self.location.path, clock=clock)
        return PostgresStore(self.location.url, clock=clock, free_for=0)


@pytest.fixture
def places(tmp_path: Path, database: str, another_database: str) -> dict[str, StoreLocation]:
    return {
        "file": StoreLocation.of_path(tmp_path / "journal.db"),
        "other file": StoreLocation.of_path(tmp_path / "other.db"),
        "server": parse_location(database),
        "other server": parse_location(another_database),
    }


EITHER: Final = pytest.mark.parametrize("way", ["file to server", "server to file"], indirect=True)
ALL: Final = pytest.mark.parametrize(
    "way",
    ["file to server", "server to file", "server to other server", "file to other file"],
    indirect=True,
)


@pytest.fixture
def way(
    request: pytest.FixtureRequest, places: dict[str, StoreLocation]
) -> tuple[StoreLocation, StoreLocation]:
    here, there = request.param.split(" to ")
    return places[here], places[there]


def fill(driver: Driver) -> dict[str, NewJob]:
    """Have jobs in every state there is, with all that a job can have."""
    jobs: dict[str, NewJob] = {}

    def new(name: str, **more: object) -> NewJob:
        jobs[name] = job = driver.new(f"shop:{name}", payload=b'{"a":[],"k":{"n":"\xc3\xa4"}}', **more)  # type: ignore[arg-type]
        return job

    runner = driver.enlist()
    driver.add(new("succeeded", owner="ada"))
    claim = driver.claim_one(runner)
    note = ProgressNote(claim.seq, claim.fence, Progress(3, 4.5, "three", driver.clock.now()))
    driver.store.progress([note]).wait(PATIENCE)
    lines = tuple(LogLine(driver.clock.now(), 20, "shop", f"line {n}") for n in range(2))
    driver.store.finish([driver.finish_of(claim, Succeeded(b'{"total":1}'), lines)]).wait(PATIENCE)
    for name, end in (
        ("failed", Failed("ValueError: \u20ac", "Traceback ...")),
        ("cancelled", Cancelled(Reason.DISCARDED, "Discard: no", "")),
        ("parked", Parked(Reason.UNKNOWN_TASK, "r1", "no such task")),
        ("retried", Failed("OSError: again", "...", driver.after(1000))),
    ):
        driver.add(new(name))
        driver.finish(driver.claim_one(runner), end)
    driver.declare(DeclaredLimits("task", "shop:limited", concurrent=1), DeclaredLimits("queue", "slow", 2))
    driver.pause("queue", "mail")
    driver.add(
        new("deleted"), new("scheduled", after=500), new("keyed", key="k", priority=3, opts='{"timeout":3}'),
        new("mail", queue="mail", once=True, context='{"tenant":"a"}'),
        new("limited", concurrency_key="t"), driver.new("shop:limited", concurrency_key="t"),
    )  # fmt: skip
    joined = driver.new("shop:keyed", key="k", owner="bob")
    driver.add(joined)
    jobs["joined"] = joined
    driver.cancel(jobs["deleted"])
    driver.store.delete([jobs["deleted"].id]).wait(PATIENCE)
    del jobs["deleted"]
    first = new("first")
    driver.add(first, new("second", follows=True))
    driver.store.retire(runner.runner, draining=False).wait(PATIENCE)
    return jobs


def told(location: StoreLocation) -> dict[str, object]:
    """Return everything that people are told of a journal."""
    with closing(open_reading(location)) as journal:
        found = journal.page(JobFilter(limit=1000)).wait()
        return {
            "jobs": [plain(journal.get(one.id).wait()) for one in found],
            "counts": journal.counts().wait(),
            "totals": journal.totals().wait(),
            "paused": journal.paused().wait(),
            "queues": journal.queues().wait(),
            "parked": journal.parked().wait() if hasattr(journal, "parked") else None,
        }


def plain(record: JobRecord | None) -> str:
    """Return a job as it can be compared: a server's texts have no character 0."""
    return repr(record).replace("\\x00", "\ufffd")


def moved(way: tuple[StoreLocation, StoreLocation]) -> Moved:
    with closing(open_source(way[0])) as source, closing(open_target(way[1])) as target:
        return move(source, target)


@ALL
def test_everything_is_there_afterwards(way: tuple[StoreLocation, StoreLocation]) -> None:
    clock = ManualClock()
    old = Driver(Bench(way[0]), clock)
    jobs = fill(old)
    old.store.close()
    before = told(way[0])
    assert moved(way).rows["job"] == len(before["jobs"])  # type: ignore[arg-type]
    assert told(way[1]) == before
    assert told(way[0]) == before, "it can still be looked at"

    new = Driver(Bench(way[1]), clock)
    assert plain(new.record(jobs["joined"])) == plain(new.record(jobs["keyed"])).replace(
        "call_owner=None", "call_owner='bob'"
    )
    (again,) = new.add(new.new("shop:keyed", key="k"))
    assert again.seq == new.record(jobs["keyed"]).seq, "its key is taken here as well"
    (later,) = new.add(new.new("shop:later"))
    assert later.seq > max(one.seq for one in new.store.page(JobFilter(limit=1000)).wait()[1:])
    runner = new.enlist()
    claims = new.claim(runner)
    names = [claim.task.removeprefix("shop:") for claim in claims]
    assert names == ["limited", "first", "later", "keyed"], "by priority, and then in order"
    assert new.finish(claims[1])
    assert new.finish(claims[0])
    assert [claim.task for claim in new.claim(runner)] == ["shop:limited", "shop:second"]
    clock.advance(501)
    assert new.promote() == 1
    assert new.claim_one(runner).id == jobs["scheduled"].id
    new.store.close()


@EITHER
def test_schedules_come_along_with_what_has_been_fired(way: tuple[StoreLocation, StoreLocation]) -> None:
    clock = ManualClock()
    old = Driver(Bench(way[0]), clock)
    runner = old.enlist()
    declare(old, schedule(), schedule("paused"), runner=runner)
    old.store.pause_schedule("paused").wait(PATIENCE)
    clock.advance(60)
    assert len(fire(old).times) == 1
    before = known(old)
    old.store.retire(runner.runner, draining=False).wait(PATIENCE)
    old.store.close()
    moved(way)

    new = Driver(Bench(way[1]), clock)
    assert known(new) == before
    assert fire(new).times == []
    assert declare(new, schedule(), runner=new.enlist()), (
        "no runner of the old journal declares anything here"
    )
    clock.advance(60)
    assert [time.due for time in fire(new).times] == [clock.now()]
    new.store.close()


@EITHER
def test_a_moved_journal_is_only_read(way: tuple[StoreLocation, StoreLocation]) -> None:
    clock = ManualClock()
    old = Driver(Bench(way[0]), clock)
    old.add(old.new())
    old.store.close()
    assert not moved(way).again
    with pytest.raises(JournalRefused, match=r"has been moved to .* `postlude move --undo`"):
        Bench(way[0]).make(clock).open()
    assert moved(way).again, "who was killed before it could be said runs it again"
    with closing(open_source(way[0])) as source:
        source.set_mark(None)
    store = Bench(way[0]).make(clock)
    store.open()
    store.close()
    with pytest.raises(JournalRefused, match="was used again since"):
        moved(way)


@pytest.mark.parametrize("place", ["file", "server"])
def test_it_is_moved_to_one_place_only(place: str, places: dict[str, StoreLocation]) -> None:
    clock = ManualClock()
    old = Driver(Bench(places[place]), clock)
    old.add(old.new())
    old.store.close()
    moved((places[place], places[f"other {place}"]))
    with pytest.raises(JournalRefused, match="move it there again, or let it be used again"):
        moved((places[place], places["server" if place == "file" else "file"]))


@EITHER
def test_a_journal_with_jobs_is_no_target(way: tuple[StoreLocation, StoreLocation]) -> None:
    clock = ManualClock()
    for place in way:
        driver = Driver(Bench(place), clock)
        driver.add(driver.new())
        driver.store.close()
    with pytest.raises(JournalRefused, match="has jobs already"):
        moved(way)
    store = Bench(way[0]).make(clock)
    store.open()  # nothing has been changed
    store.close()


@EITHER
@pytest.mark.parametrize("end", [0, 1])
def test_a_process_that_uses_it_is_named(end: int, way: tuple[StoreLocation, StoreLocation]) -> None:
    stores = [choose_store(place.url, SystemClock()) for place in way]
    for store in stores:
        assert store is not None
        store.open()
        store.enlist(NewRunner("r", 15.0)).wait(PATIENCE)
    other, used = (stores[0], stores[1]) if end else (stores[1], stores[0])
    assert other is not None
    assert used is not None
    other.close()
    with pytest.raises(JournalUnavailable, match="another process has the journal") as caught:
        moved(way)
    assert f"pid {os.getpid()}" in str(caught.value) or end
    used.close()


@EITHER
def test_what_a_dead_process_was_running_waits(way: tuple[StoreLocation, StoreLocation]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.stores.test_moving", "run", way[0].url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"runs\n"
    with pytest.raises(JournalUnavailable, match=f"pid {process.pid}"):
        moved(way)
    process.kill()
    process.communicate()
    moved(way)
    with closing(open_reading(way[1])) as journal:
        (job,) = journal.page(JobFilter()).wait()
    assert (job.state, job.reason) == (State.QUEUED, Reason.INTERRUPTED)


def test_what_has_joined_a_transaction_goes_along(places: dict[str, StoreLocation]) -> None:
    store = choose_store(places["server"].url, SystemClock())
    assert store is not None
    store.open()
    store.close()
    job = NewJob(b"7" * 16, "shop:joined", "q", b"{}", 1, Terms(key="k"))
    with psycopg.connect(places["server"].url, autocommit=True) as db:
        join = "SELECT postlude.join_jobs((SELECT value FROM postlude.meta WHERE key = 'epoch'), %s)"
        assert db.execute(join, (text_of([Joining(job, None)]),)).fetchone() == (1,)
    moved((places["server"], places["file"]))
    with closing(open_reading(places["file"])) as journal:
        (found,) = journal.page(JobFilter()).wait()
        counts = journal.counts().wait()
    assert (found.task, found.state, found.key) == ("shop:joined", State.QUEUED, "k")
    assert [(one.task, one.jobs) for one in counts] == [("shop:joined", 1)]


POINTS: Final = ("fill", "go_on_after", "marked", "commit", "committed")


@EITHER
@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_it_is_run_again(point: str, way: tuple[StoreLocation, StoreLocation]) -> None:
    clock = ManualClock()
    old = Driver(Bench(way[0]), clock)
    fill(old)
    old.store.close()
    before = told(way[0])
    killed = subprocess.run(
        [sys.executable, "-m", "tests.stores.test_moving", point, way[0].url, way[1].url], cwd=ROOT
    )
    assert killed.returncode == -signal.SIGKILL
    assert told(way[0]) == before
    store = Bench(way[0]).make(clock)
    if POINTS.index(point) >= POINTS.index("marked"):
        with pytest.raises(JournalRefused, match="has been moved"):
            store.open()  # it may have been: nobody may run its jobs here
    else:
        store.open()
        store.close()
    assert moved(way).again == (point == "committed")
    assert told(way[1]) == before


def killing(point: str, here: StoreLocation, there: StoreLocation) -> None:
    """Move, and be killed at a point."""
    source, target = open_source(here), open_target(there)
    where = source if point == "marked" else target
    name = {"marked": "set_mark", "committed": "commit"}.get(point, point)
    method = getattr(where, name)

    def dies(*arguments: object) -> object:
        if point == name and (name != "fill" or arguments[0] == "job"):
            if name == "fill":  # with half of the jobs written
                rows: Iterator[object] = arguments[2]  # type: ignore[assignment]
                method(*arguments[:2], (row for _, row in zip(range(3), rows, strict=False)))
            os.kill(os.getpid(), signal.SIGKILL)
        done = method(*arguments)
        if point != name:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(where, name, dies)
    move(source, target)


@pytest.mark.parametrize("place", ["file", "server"])
def test_what_the_target_has_no_place_for_is_refused(place: str, places: dict[str, StoreLocation]) -> None:
    clock = ManualClock()
    old = Driver(Bench(places[place]), clock)
    old.add(old.new())
    old.store.close()
    target = places[f"other {place}"]
    for what, sql in (
        ("job.later", "ALTER TABLE {s}job ADD COLUMN later integer"),
        ("the table more", "CREATE TABLE {s}more (id integer)"),
    ):
        change(places[place], sql)
        with closing(open_source(places[place])) as source, closing(open_target(target)) as there:
            assert source.tables().keys() - there.tables().keys() <= {"more"}
            change_to = "UPDATE {s}job SET later = 1" if "later" in what else "INSERT INTO {s}more VALUES (1)"
        change(places[place], change_to)
        with pytest.raises(JournalRefused, match=what):
            moved((places[place], target))
        change(
            places[place],
            change_to.replace("= 1", "= NULL").replace("INSERT INTO", "DELETE FROM").partition(" VALUES")[0],
        )
    assert moved((places[place], target)).rows["job"] == 1


def change(location: StoreLocation, sql: str) -> None:
    if location.kind is StoreKind.SQLITE:
        import sqlite3

        with closing(sqlite3.connect(location.path)) as db, db:
            db.execute(sql.format(s=""))
    else:
        with psycopg.connect(location.url, autocommit=True) as pg:
            pg.execute(sql.format(s="postlude."))


def test_what_was_written_is_compared(places: dict[str, StoreLocation]) -> None:
    clock = ManualClock()
    old = Driver(Bench(places["file"]), clock)
    old.add(old.new(), old.new())
    old.store.close()
    store = Bench(places["server"]).make(clock)
    store.open()
    store.close()
    change(
        places["server"],
        "CREATE FUNCTION {s}other() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.queue := ''other''; RETURN NEW; END'",
    )
    change(
        places["server"],
        "CREATE TRIGGER other BEFORE INSERT ON {s}job FOR EACH ROW EXECUTE FUNCTION {s}other()",
    )
    with pytest.raises(JournalRefused, match="not what was written; nothing is moved"):
        moved((places["file"], places["server"]))
    change(places["server"], "DROP TRIGGER other ON {s}job")
    moved((places["file"], places["server"]))


def test_both_stores_have_the_same_tables_and_columns(places: dict[str, StoreLocation]) -> None:
    """Whoever adds one to the schema of one store does so in the other, or says here why not."""
    alone = {"job.parent", "job.pending", "job.version", "log.place", "about", "minute", "minute_bucket"}
    alone |= {"tally", "joined"}  # a server's own: one is folded into `stat` before a move, one taken in
    with closing(open_target(places["file"])) as file, closing(open_target(places["server"])) as server:
        names = [
            {table for table in one.tables() if table not in OF_PROCESSES}
            | {f"{table}.{column}" for table, columns in one.tables().items() for column in columns}
            for one in (file, server)
        ]
    differing = {name for name in names[0] ^ names[1] if name.split(".")[0] not in {*OF_PROCESSES, *alone}}
    assert differing <= alone


def running(place: StoreLocation) -> None:
    """Claim and start a job, say so, and wait to be killed."""
    store = choose_store(place.url, SystemClock())
    assert store is not None
    driver = Driver(Bench(place), ManualClock(), store)
    driver.add(driver.new())
    runner = driver.enlist()
    driver.start(runner, driver.claim_one(runner))
    sys.stdout.write("runs\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    if sys.argv[1] == "run":
        running(parse_location(sys.argv[2]))
    else:
        killing(sys.argv[1], *map(parse_location, sys.argv[2:]))
