"""Setting aside what cannot be read, so that one damaged row costs only itself.

Nobody looks for damage: the statements of the usual way trip over it. Then the journal is looked
through once, in a transaction of its own, and what was asked for is tried again.
"""

from collections.abc import Sequence
from typing import Any, Final

from postlude.model.event.journal import DamagedRow, MendedNumber
from postlude.model.ids import IdSource, id_text
from postlude.model.state import FINAL, QUEUED, Reason, Stored
from postlude.model.terms import Given
from postlude.stores.relational.cells import written
from postlude.stores.relational.concurrency import free_followers, ready_blocked, rebalance
from postlude.stores.sqlite.damage import (
    BOUNDS,
    JOBS,
    PAUSES,
    RUNNERS,
    TASK_NAMES,
    Damaged,
    Table,
    look_for,
    remove,
)
from postlude.stores.sqlite.numbering import renumber
from postlude.stores.sqlite.transaction import SqliteTransaction

_WAITING: Final = QUEUED | {Stored.PARKED}
_LEFT_OUT: Final = Given._fields
"""What a job that is set aside does without from then on, if that cannot be read."""


def repair(tx: SqliteTransaction) -> list[DamagedRow | MendedNumber]:
    """Set aside, or do without, what is damaged; returns what that was."""
    told: list[DamagedRow | MendedNumber] = [*renumber(tx)]
    told += [_rename(tx, row) for row in look_for(tx.db, TASK_NAMES)]
    told += [_forget_runner(tx, row) for row in look_for(tx.db, RUNNERS)]
    bounds = look_for(tx.db, BOUNDS)
    told += [_removed(BOUNDS, row) for row in bounds]
    told += [_removed(PAUSES, row) for row in look_for(tx.db, PAUSES)]
    jobs = look_for(tx.db, JOBS)
    told += [_repair_job(tx, row) for row in jobs]
    if told:
        remove(tx.db, BOUNDS)
        remove(tx.db, PAUSES)
        tx.run("clear_stats")
        tx.run("count_again")  # what a damaged cell said may have been counted, or not
        _let_go(tx, jobs, bounds)
    return told


def _rename(tx: SqliteTransaction, row: Damaged) -> DamagedRow:
    tx.run("rename_task", row.key, f"{str(row.cells['name'])[:200]} (damaged, number {row.key})")
    tx.names.clear()
    return DamagedRow(TASK_NAMES.name, str(row.key), str(row))


def _forget_runner(tx: SqliteTransaction, row: Damaged) -> DamagedRow:
    tx.run("forget_runner", row.key)
    return DamagedRow(RUNNERS.name, str(row.key), str(row))


def _removed(table: Table, row: Damaged) -> DamagedRow:
    of = f"{written(row.whole['kind'])} {written(row.whole['name'])}"
    return DamagedRow(table.name, of, str(row))


def _repair_job(tx: SqliteTransaction, row: Damaged) -> DamagedRow:
    """Make all cells of a job what they can be; one that waits is parked, and no release un-parks it."""
    state, seq = row.whole["state"], row.key
    columns = {column.name: column for column in JOBS.columns}
    cells: dict[str, Any] = {name: columns[name].instead(value) for name, value in row.cells.items()}
    if "id" in cells:
        cells["id"] = IdSource().new(tx.now)
    if "task" in cells:
        cells["task"] = tx.task_id(f"(unknown task {written(row.cells['task'])})")
    if "finished" in cells and state in FINAL:
        cells["finished"] = tx.now  # else it would be kept for ever
    known = id_text(cells.get("id", row.whole["id"]))
    what = str(row) or "its arguments are missing"
    if "state" in cells or state in _WAITING:
        cells |= {name: None for name in _LEFT_OUT if name in cells}
        cells |= {
            "state": int(Stored.PARKED),
            "reason": Reason.DAMAGED,
            "release": None,
            "due": None,
            "runner": 0,
        }
        note = f"its row of the journal is damaged: {what}. To run it all the same, cancel and retry it"
        tx.run_for("set_notes", [(seq, note)])
        tx.run("add_payload_if_missing", seq)
    tx.db.execute(
        f"UPDATE job SET {', '.join(f'{name} = ?' for name in cells)} WHERE seq = ?", (*cells.values(), seq)
    )
    return DamagedRow(JOBS.name, known, what, "state" in cells)


def _let_go(tx: SqliteTransaction, jobs: Sequence[Damaged], bounds: Sequence[Damaged]) -> None:
    """Ready what waited for those that were set aside, or because of bounds that are not known any more."""
    free_followers(tx, [job.key for job in jobs if job.whole["state"] in _WAITING])
    rebalance(tx, tx.rules.limits.keys())
    for bound in bounds:
        if bound.whole["kind"] == "task" and "name" not in bound.cells:
            task = tx.task_id(bound.whole["name"])
            for reason in (Reason.LIMIT, Reason.RATE):
                ready_blocked(tx, task, reason)
