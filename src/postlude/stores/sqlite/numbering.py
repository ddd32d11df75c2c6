"""The numbers that jobs and runners get: what is done when a damaged one is the largest that there can be.

SQLite gives the next number after the largest that there ever was. Beyond the last it says that the
disk is full, and nothing could be added, or nobody enlisted, ever again.
"""

from typing import Any

from postlude.model.event.journal import MendedNumber
from postlude.stores.sqlite.damage import MOST_WHOLE
from postlude.stores.sqlite.sql import SQL
from postlude.stores.sqlite.transaction import SqliteTransaction


def used_up(db: Any) -> bool:
    """Say whether a number is there that was never given."""
    return bool(db.execute(SQL["numbers_used_up"], (MOST_WHOLE,)).get)


def renumber(tx: SqliteTransaction) -> list[MendedNumber]:
    """Give damaged rows the numbers that they can have, and go on from there; returns what was done.

    A job whose number alone is damaged finds its arguments again: they are the only ones without a job.
    """
    if not used_up(tx.db):
        return []
    told = []
    for number in tx.rows("jobs_beyond", MOST_WHOLE):
        left = tx.rows("left_payloads")
        seq = left[0] if len(left) == 1 and left[0] <= MOST_WHOLE else tx.value("next_seq", MOST_WHOLE)
        tx.run("give_seq", number, seq)
        tx.run("give_payload_seq", number, seq)
        tx.run("give_follows", number, seq)
        told.append(MendedNumber("job", number, seq))
    for number in tx.rows("runners_beyond", MOST_WHOLE):
        tx.run("forget_runner", number)
        told.append(MendedNumber("process", number))
    tx.run("count_jobs_from", MOST_WHOLE)
    tx.run("count_runners_from", MOST_WHOLE)
    return told or [MendedNumber()]
