"""The role of a store that takes jobs in; see `postlude.stores.protocol` for what holds of all of them."""

from collections.abc import Sequence
from typing import Protocol

from postlude.model.job import Added, Cancel, NewJob
from postlude.stores.reply import Reply
from postlude.stores.values import Deed, Pause


class Intake(Protocol):
    """Asking for work.

    What people ask (`by`) is written with who has, in the same commit (`Looking.audit`). What is asked in
    several calls with one act is one line, whose numbers are those of all. Of a call that is refused nothing
    is written.
    """

    def add(
        self,
        jobs: Sequence[NewJob],
        *,
        claim_for: int | None = None,
        budget: float | None = None,
        by: Deed | None = None,
    ) -> Reply[list[Added]]:
        """Store jobs, all or none, in this order.

        With `claim_for` (a runner's number) they are born claimed by it if, for each of their
        queues, nothing ready waits, no task or queue at all is paused, and no job of them has a due
        time, is `rated`, has a `concurrency key` or is delivered at most once; otherwise all of them are
        queued (`Added.fence` is 0). Queued jobs that `follow` are blocked until the first attempt
        of the job before them has ended, or their `due`.

        Those that are `held` are blocked until `free`, or their `due`; followers may follow them.

        A key that a job of the same task has, which is queued, parked or running, is met as the
        new job's `conflict` says. `KEEP`: nothing is stored but that the new id resolves to that
        job, and `Added` is its place, `joined`. `REPLACE` is the same, and if that job is queued it
        takes over payload, creation, priority, due time, opts, context and concurrency key of the new one
        (as if it were added now, but with its own id, place and deaths), and its attempts are forgotten.
        `RAISE`: `KeyTaken`, and nothing of this call is stored. Two jobs of one call meet each other
        in the same way.

        A job with a concurrency key that would be ready is blocked instead (reason `LIMIT`) while as many
        jobs of its task and concurrency key as its task's `DeclaredLimits` say are ready or running. So a
        concurrency key's limit holds because no more of it are ever ready or running; wherever a job of a
        concurrency key stops being either, the first blocked one of its concurrency key, by priority and
        then in order, is ready. This holds for every verb that makes jobs ready.

        What cannot be stored as it is, for instance an id that a job has already, is `JobRefused`:
        never `JournalUnavailable`, on which clients try again.

        An answer that does not come within `budget` seconds is `JournalUnavailable`; then the
        jobs are not stored, or are cancelled before anybody could start them. What people add by hand (`by`)
        has no budget, and is not born claimed.
        """
        ...

    def free(self, seqs: Sequence[int]) -> Reply[int]:
        """Make those of these jobs ready that were `held`, and still are; returns how many are ready."""
        ...

    def cancel(self, ids: Sequence[bytes], by: Deed | None = None) -> Reply[list[Cancel]]:
        """Cancel jobs that are queued or parked; ask for it (`cancel_asked`) if they run.

        A job that was asked to stop and whose runner gives it back, dies or wants to try it again
        is cancelled instead (in `release`, `retire`, `reap`, and `finish` with a `Failed` that has
        a `retry_at`, or with `Snoozed`).
        """
        ...

    def retry(self, ids: Sequence[bytes], by: Deed | None = None) -> Reply[list[bool]]:
        """Make jobs ready that have failed or were cancelled; False for each that has not.

        They keep their failures and attempts; their deaths are forgiven, and what bounded them in
        time is lifted (`postlude.model.overrides.lifted`). Of those that are of one concurrency key, as many
        as fit.

        The answer is `KeyTaken`, and nothing is changed, if another job has one of their keys.
        """
        ...

    def delete(self, ids: Sequence[bytes], by: Deed | None = None) -> Reply[list[bool]]:
        """Delete jobs that have ended, with all that is known of them; False for each that has not."""
        ...

    def pause(self, what: Pause, by: Deed | None = None) -> Reply[bool]:
        """Let no job of a queue, or of a task, be claimed until `resume`; False if it is so already.

        Jobs of a paused queue stay ready. Ready jobs of a paused task are blocked (reason `PAUSED`)
        when a claim meets them.
        """
        ...

    def resume(self, what: Pause, by: Deed | None = None) -> Reply[bool]:
        """Undo `pause`; False if it was not paused."""
        ...
