"""Makes `v1.journal`: a journal as the first version leaves it. Run once; the file is kept for ever.

python -m tests.stores.golden.make_v1 FILE
"""

import shutil
import sys
import tempfile
from pathlib import Path

import apsw

from postlude.clock import SECOND, ManualClock
from postlude.model.job import NewJob
from postlude.model.outcome import SUCCEEDED, Failed, Finish, Outcome, Parked
from postlude.model.state import Reason
from postlude.model.terms import Terms
from postlude.stores.protocol import NewRunner
from postlude.stores.sqlite import SqliteStore

IDS = {
    name: bytes([number]) * 16
    for number, name in enumerate(
        ("succeeded", "failed", "parked", "retrying", "cancelled", "scheduled", "ready", "blocked"), start=1
    )
}
"""One job in each state, by these ids; a killed runner holds none."""


def main(target: Path) -> None:
    """Write the journal, with a database page size that keeps it small."""
    clock = ManualClock()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        db = apsw.Connection(str(path))
        db.execute("PRAGMA page_size = 512; VACUUM")
        db.close()
        _fill(SqliteStore(path, clock=clock), clock)
        shutil.copyfile(path, target)


def _fill(store: SqliteStore, clock: ManualClock) -> None:
    store.open()
    now = clock.now()

    def job(name: str, *, after: int | None = None, follows: bool = False) -> NewJob:
        payload = b'{"a":["%s"],"k":{}}' % name.encode()
        due = None if after is None else now + after * SECOND
        return NewJob(IDS[name], f"shop:{name}", "default", payload, now, Terms(due, follows=follows))

    store.add([job("succeeded"), job("failed"), job("parked"), job("retrying")]).wait(5)
    runner = store.enlist(NewRunner("release-1", 15.0)).wait(5).runner
    clock.advance(1)
    outcomes: list[Outcome] = [
        SUCCEEDED,
        Failed("ValueError: no", "Traceback ...\nValueError: no"),
        Parked(Reason.UNKNOWN_TASK, "release-1"),
        Failed("OSError: later", "Traceback ...\nOSError: later", clock.now() + 60 * SECOND),
    ]
    claims = store.claim(runner, 10, suspect=False).wait(5).claims
    store.finish(
        [
            Finish(claim.seq, claim.fence, claim.task, now, clock.now(), outcome)
            for claim, outcome in zip(claims, outcomes, strict=True)
        ]
    ).wait(5)
    store.retire(runner, draining=True).wait(5)
    store.add([job("cancelled"), job("scheduled", after=3600)]).wait(5)
    store.cancel([IDS["cancelled"]]).wait(5)
    store.add([job("ready"), job("blocked", after=15, follows=True)]).wait(5)
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
