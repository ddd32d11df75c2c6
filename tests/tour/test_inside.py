"""Tour, part 5: what a task sees of its job, and what FastAPI's `Depends` gives it."""

import asyncio
import pathlib
from types import ModuleType
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import Body, Cookie, Depends, Header, Path, Query, Request, Security
from fastapi.security import OAuth2PasswordBearer

from postlude import JobCancelled, JobFailed, TaskDefinitionError, current_job, raise_if_cancelled
from postlude.model.state import Reason, State
from tests.app.serving import becomes, eventually, serving
from tests.tour.conftest import Visiting
from tests.tour.preamble import SESSIONS, AsyncSession, ImportReport, get_session

pytestmark = pytest.mark.anyio


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "orders.csv"
    path.write_text("pen\nink\npaper\n", "utf-8")
    return path


async def at(orders: ModuleType, step: str) -> None:
    async def look() -> bool | None:
        return step in orders.steps or None

    await eventually(look)


class TestTheBlock:
    """`import_orders`."""

    async def test_it_is_added_without_its_session(
        self, orders: ModuleType, visiting: Visiting, file: pathlib.Path
    ) -> None:
        async with visiting(orders) as client:
            id = (await client.post("/imports", params={"path": str(file)})).json()
            job = await orders.postlude.job(id)
            assert await job.result(timeout=10) == ImportReport(orders=3)
        (session,) = SESSIONS
        assert (session.rows, session.closed, session.error) == (["pen", "ink", "paper"], True, None)

    async def test_its_result_is_of_its_return_type(self, orders: ModuleType, file: pathlib.Path) -> None:
        async with serving(orders.postlude):
            job = await orders.postlude.add_task(orders.import_orders, file)
            assert type(await job.result(timeout=10)) is ImportReport

    async def test_its_progress_is_seen_while_it_runs(self, orders: ModuleType, file: pathlib.Path) -> None:
        orders.hold["ink"] = asyncio.Event()
        async with serving(orders.postlude):
            job = await orders.postlude.add_task(orders.import_orders, file)
            await at(orders, "at ink")

            async def look() -> Any:
                progress = await job.progress()
                return progress if progress is not None and progress.done == 2 else None

            progress = await eventually(look)
            assert (progress.total, progress.message) == (3, "orders")
            orders.hold["ink"].set()
            await job.result(timeout=10)

    async def test_it_is_cancelled_where_it_waits(self, orders: ModuleType, file: pathlib.Path) -> None:
        orders.hold["ink"] = asyncio.Event()
        async with serving(orders.postlude):
            job = await orders.postlude.add_task(orders.import_orders, file)
            await at(orders, "at ink")
            await job.cancel()
            with pytest.raises(JobCancelled):
                await job.result(timeout=10)
            status = await becomes(orders.postlude, job, State.CANCELLED)
        assert (SESSIONS[0].rows, SESSIONS[0].closed) == (["pen", "ink"], True)
        assert status.retrying is False

    async def test_a_direct_call_passes_the_session(self, orders: ModuleType, file: pathlib.Path) -> None:
        report = await orders.import_orders(file, AsyncSession())
        assert report.orders == 3

    async def test_a_file_that_is_not_there(self, orders: ModuleType, tmp_path: pathlib.Path) -> None:
        async with serving(orders.postlude):
            job = await orders.postlude.add_task(orders.import_orders, tmp_path / "none.csv")
            async with asyncio.timeout(10):
                while not SESSIONS or not SESSIONS[0].closed:
                    await asyncio.sleep(0.005)
            await job.cancel()
        assert isinstance(SESSIONS[0].error, FileNotFoundError)


class TestDepends:
    """FastAPI's own, afresh for each attempt."""

    async def test_each_attempt_has_its_own_and_closes_it(self, orders: ModuleType) -> None:
        async with serving(orders.postlude):
            job = await orders.postlude.add_task(orders.stock_up, "pens")
            assert await job.result(timeout=10) == "the shop, database"
        assert orders.steps == ["pens: the shop, database"] * 3
        assert [(session.rows, session.closed) for session in SESSIONS] == [(["pens"], True)] * 3
        assert [type(session.error) for session in SESSIONS] == [ConnectionError, ConnectionError, type(None)]

    async def test_overrides_of_the_application_hold(self, orders: ModuleType) -> None:
        orders.app.dependency_overrides[get_session] = lambda: AsyncSession("a test's")
        async with serving(orders.postlude):
            job = await orders.postlude.add_task(orders.stock_up, "pens")
            assert await job.result(timeout=10) == "the shop, a test's"
        assert SESSIONS == []

    async def test_anything_else_of_the_request_raises(self, orders: ModuleType) -> None:
        async with serving(orders.postlude):
            job = await orders.postlude.add_task(orders.ask_for_a_header)
            with pytest.raises(JobFailed, match="headers"):
                await job.result(timeout=10)

    @pytest.mark.parametrize(
        "parameter",
        [
            Annotated[str, Path()],
            Annotated[str, Query()],
            Annotated[str, Header()],
            Annotated[str, Cookie()],
            Annotated[dict[str, str], Body()],
            Annotated[str, Security(OAuth2PasswordBearer("token"))],
            Annotated[str, Depends(OAuth2PasswordBearer("token"))],
            str,
        ],
        ids=["path", "query", "header", "cookie", "body", "security", "scheme", "plain"],
    )
    async def test_dependencies_that_need_a_request_are_refused_when_a_task_is_declared(
        self, orders: ModuleType, parameter: Any
    ) -> None:
        def dependency(value: Any) -> str:
            return str(value)

        dependency.__annotations__["value"] = parameter

        async def task(text: str = Depends(dependency)) -> None: ...

        with pytest.raises(TaskDefinitionError, match="text -> value"):
            orders.postlude.task(task)

    @pytest.mark.parametrize("default", [Query(), Header(), Cookie(), Body(), Security(get_session)])
    async def test_so_are_such_parameters_of_its_own(self, orders: ModuleType, default: Any) -> None:
        async def task(value: str = default) -> None: ...

        with pytest.raises(TaskDefinitionError, match="value"):
            orders.postlude.task(task)

    async def test_and_the_request_itself(self, orders: ModuleType) -> None:
        async def task(request: Request) -> None: ...

        with pytest.raises(TaskDefinitionError, match=r"request.*\.state"):
            orders.postlude.task(task)


class TestEndings:
    """What a task can raise to say how its attempt ends."""

    async def test_snooze_runs_it_again_and_costs_no_attempt(self, orders: ModuleType) -> None:
        async with serving(orders.postlude):
            job = await orders.postlude.add_task(orders.in_a_minute, 5)
            for times in range(1, 6):

                async def snoozes(times: int = times) -> bool | None:
                    status = await orders.postlude.inspector.get(job.id)
                    return (len(orders.steps) == times and status.state is State.QUEUED) or None

                await eventually(snoozes)
                orders.clock.advance(60)
            assert await job.result(timeout=10) == 6
            status = await orders.postlude.inspector.get(job.id)
        assert orders.steps == ["attempt 1"] * 6
        assert status.attempts == ()

    async def test_discard_ends_it(self, orders: ModuleType) -> None:
        async with serving(orders.postlude):
            job = await orders.postlude.add_task(orders.not_any_more)
            with pytest.raises(JobCancelled, match="gone"):
                await job.result(timeout=10)
            status = await orders.postlude.inspector.get(job.id)
        assert (status.state, status.reason) == (State.CANCELLED, Reason.DISCARDED)
        assert orders.steps == ["tried"]

    async def test_retry_later_waits_as_long_as_it_says_and_costs_an_attempt(
        self, orders: ModuleType
    ) -> None:
        async with serving(orders.postlude):
            job = await orders.postlude.add_task(orders.as_the_server_says)

            async def retries() -> Any:
                status = await orders.postlude.inspector.get(job.id)
                return status if status.retrying else None

            status = await eventually(retries)
            assert (status.due - status.attempts[0].finished).total_seconds() == 120
            orders.clock.advance(120)
            with pytest.raises(JobFailed, match="busy"):
                await job.result(timeout=10)
        assert orders.steps == ["attempt 1", "attempt 2"]

    async def test_a_sync_task_stops_where_it_asks(self, orders: ModuleType) -> None:
        async with serving(orders.postlude):
            job = await orders.postlude.add_task(orders.count_in_a_thread, 1_000_000)

            async def look() -> bool | None:
                return await job.progress() is not None or None

            await eventually(look)
            await orders.postlude.cancel(job.id)
            with pytest.raises(JobCancelled):
                await job.result(timeout=10)

    async def test_a_sync_task_that_is_left_alone_returns(self, orders: ModuleType) -> None:
        async with serving(orders.postlude):
            job = await orders.postlude.add_task(orders.count_in_a_thread, 5)
            assert await job.result(timeout=10) == 5


async def test_outside_of_jobs(journal: str) -> None:
    job = current_job()
    assert (job.detached, job.id, job.task, job.attempt) == (True, str(UUID(int=0)), "", 1)
    await job.progress(1, 2, "rows")
    with pytest.raises(ValueError, match="finite"):
        job.progress(float("nan"))
    job.raise_if_cancelled()
    raise_if_cancelled()
    assert current_job() is not job
