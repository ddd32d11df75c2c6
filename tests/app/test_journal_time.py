"""A process whose own clock is wrong: the dates of its jobs are the journal's."""

from typing import cast

import pytest

from postlude import Postlude
from postlude.clock import SECOND, ManualClock
from postlude.model.state import State
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Store
from tests.app import returning
from tests.app.serving import becomes, serving

pytestmark = pytest.mark.anyio


async def test_what_is_delayed_waits_as_long_by_the_journals_time() -> None:
    journal, own = ManualClock(), ManualClock()
    own.advance(30)
    store = MemoryStore(journal)
    postlude = Postlude(store=cast(Store, store), clock=own)
    task = postlude.task(returning.nothing, name="nothing")
    async with serving(postlude):
        job = await postlude.add_task(task.using(delay=10, expires=12))
        record = store.get(job.raw_id).result()
        assert record is not None
        assert (record.created, record.due) == (journal.now(), journal.now() + 10 * SECOND)
        journal.advance(10)  # less than a lease
        await becomes(postlude, job, State.SUCCEEDED)
        record = store.get(job.raw_id).result()
        assert record is not None
        assert (record.started, record.finished) == (journal.now(), journal.now())
