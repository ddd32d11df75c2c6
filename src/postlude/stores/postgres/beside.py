"""Groups that share their turn with others of their kind, in which nobody needs to know what others do.

Ends of jobs that have succeeded, and claims by id of jobs that are published: each writes rows that nobody
else writes meanwhile, or finds that somebody has. So the groups of many processes are written, and come to
the disk, at the same time. What is not as plain as that has a turn of its own.

Of what becomes ready meanwhile such a group says nothing, and it notes no place up to which nothing is ready
(`Places`): others may be about to bring something there.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from postlude.clock import Clock
from postlude.model.outcome import SUCCEEDED, Finish, Succeeded
from postlude.model.queues import ALL
from postlude.stores.grouped.backend import Verb
from postlude.stores.postgres.transaction import Connection, PostgresTransaction, as_ready
from postlude.stores.postgres.turn import SHARED_TURN, Turns
from postlude.stores.relational.claims import Claims
from postlude.stores.relational.finish import note_successes
from postlude.stores.relational.limits import Rules
from postlude.stores.values import ClaimCall

VERBS: Final = frozenset({Verb.FINISH, Verb.CLAIM})

MOST_SKIPPED: Final = 64
"""Groups that have a turn of their own without a look, at most, since others were not plain."""

Call = tuple[Verb, Any]


class Beside:
    """Writes such groups.

    Args:
        turns: has the statements.
        claims: what this process has claimed.
        clock: for tests; else the server tells the time.
    """

    def __init__(self, turns: Turns, claims: Claims, clock: Clock | None = None) -> None:
        self._turns = turns
        self._claims = claims
        self._clock = clock
        self._vain = 0
        """Groups to be skipped after the next one that is not plain."""
        self._skipped = 0

    def may_take(self, calls: Sequence[Call], rules: Rules, names: Mapping[str, int]) -> bool:
        """Whether a group may be plain.

        Args:
            calls: of `VERBS`.
            rules: bounds and pauses.
            names: the numbers of tasks, by name.
        """
        if self._skipped:
            self._skipped -= 1
            return False
        return rules.none and all(
            _is_plain(argument) if verb is Verb.CLAIM else self._are_plain(argument, rules, names)
            for verb, argument in calls
        )

    def _are_plain(self, finishes: Sequence[Finish], rules: Rules, names: Mapping[str, int]) -> bool:
        return all(
            finish.outcome.__class__ is Succeeded
            and finish.task in names
            and names[finish.task] not in rules.limits
            and not self._claims.is_followed(finish.seq)
            for finish in finishes
        )

    def begin(
        self, db: Connection, tx: PostgresTransaction, calls: Sequence[Call], ruled: int | None
    ) -> list[Any] | None:
        """Begin a transaction and write a group that may be plain; returns the answer to each call.

        None: it needs a turn of its own, and what has been written is to be rolled back.

        Args:
            db: the connection.
            tx: the transaction.
            calls: of `VERBS`.
            ruled: as of when bounds and pauses are known.
        """
        answers = self._begin(db, tx, calls, ruled)
        self._vain = 0 if answers is not None else min(max(1, 2 * self._vain), MOST_SKIPPED)
        self._skipped = self._vain
        return answers

    def _begin(
        self, db: Connection, tx: PostgresTransaction, calls: Sequence[Call], ruled: int | None
    ) -> list[Any] | None:
        names = self._turns.prepared(db)
        ends = [finish for verb, finishes in calls if verb is Verb.FINISH for finish in finishes]
        claims: list[ClaimCall] = [call for verb, call in calls if verb is Verb.CLAIM]
        words = ["BEGIN", f"EXECUTE {names[SHARED_TURN]}", f"EXECUTE {names['at_turn']}"]
        if ends:
            columns = zip(*[(end.seq, end.fence, end.started, end.finished) for end in ends], strict=True)
            arrays = ", ".join(f"'{{{','.join(map(str, column))}}}'" for column in columns)
            words.append(f"EXECUTE {names['finish_succeeded']}({arrays})")
        for call in claims:
            ids = ",".join(f'"\\\\x{id.hex()}"' for id in call.ids or ())
            words.append(f"EXECUTE {names['claim_published']}({call.runner:d}, '{{{ids}}}')")
        cursor = db.execute(";".join(words))
        found = [(one.rowcount, one.fetchall() if one.description else []) for one in cursor.results()]
        (_, [(_, now)]), (_, [(_, _, ruled_now)]) = found[1:3]
        written, claimed = found[3 : 3 + bool(ends)], [rows for _, rows in found[3 + bool(ends) :]]
        if ruled_now != ruled or written not in ([], [(len(ends), [])]):
            return None
        if any(len(rows) != len(call.ids or ()) for call, rows in zip(claims, claimed, strict=True)):
            return None
        tx.now = now if self._clock is None else self._clock.now()
        if ends:
            plain = all(end.outcome is SUCCEEDED and not end.logs for end in ends)
            note_successes(tx, ends, plain=plain)
        answers = iter(
            [
                self._claims.claimed(tx, call, as_ready(rows))
                for call, rows in zip(claims, claimed, strict=True)
            ]
        )
        return [next(answers) if verb is Verb.CLAIM else [True] * len(argument) for verb, argument in calls]


def _is_plain(call: ClaimCall) -> bool:
    plain = call.queues is ALL and call.free is None and not call.few
    return plain and bool(call.ids) and call.limit >= len(call.ids or ())
