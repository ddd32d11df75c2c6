"""What routes do beside their tasks: PL005 and PL006."""

import re

import fastapi
import pytest

from postlude.frameworks.fastapi import internals
from tests.check.conftest import HEAD, Writes, checked, expected, found

COMMITS = """
    from contextlib import asynccontextmanager, contextmanager
    from fastapi import APIRouter, Depends
    class Session:
        def commit(self): ...
        @contextmanager
        def begin(self):
            yield self
    async def late():
        session = Session()
        try:
            yield session
            session.commit()  #: PL005
        finally:
            pass
    def block():
        with Session().begin() as session:  #: PL005
            yield session
    def early():
        session = Session()
        session.commit()
        yield session
    def rolls_back():
        yield Session()
    def unused():
        session = Session()
        yield session
        session.commit()
    def deep(session=Depends(block)):
        yield session
    def notify(): ...
    @app.post("/late")
    async def a(tasks: BackgroundTasks, session=Depends(late)): ...
    @app.post("/early")
    async def b(tasks: BackgroundTasks, session=Depends(early), other=Depends(rolls_back)): ...
    @app.post("/without")
    async def c(session=Depends(unused)): ...
    def adds(tasks: BackgroundTasks): ...
    router = APIRouter()
    @router.post("/deep")
    async def d(session=Depends(deep), also=Depends(adds)): ...
    app.include_router(router, prefix="/sub")
    inner = FastAPI()
    app.mount("/inner", inner)
"""


@pytest.mark.skipif(
    not internals.OUTLIVES, reason="before FastAPI 0.118, dependencies leave before a response"
)
def test_a_commit_after_the_response_of_a_route_with_tasks(written: Writes) -> None:
    module = written(COMMITS)
    assert found(checked(module), module) == expected(module)


@pytest.mark.skipif(not internals.SCOPED, reason="before FastAPI 0.121 there is no scope")
def test_a_dependency_that_leaves_with_the_function_commits_in_time(written: Writes) -> None:
    module = written(re.sub(r"(Depends\((late|block|deep))", r'\1, scope="function"', COMMITS))
    assert found(checked(module), module) == []


def test_where_dependencies_leave_before_the_response_nothing_is_found(
    written: Writes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(internals, "OUTLIVES", False)
    module = written(COMMITS)
    assert found(checked(module), module) == []


def test_since_when_dependencies_outlive_the_response() -> None:
    release = tuple(map(int, fastapi.__version__.split(".")[:2]))
    assert internals.OUTLIVES is (release >= (0, 118))


def test_a_response_with_tasks_of_its_own(written: Writes) -> None:
    module = written("""
        from fastapi.responses import JSONResponse, Response
        from starlette.background import BackgroundTask
        class Mine(JSONResponse): ...
        def made(**kwargs): ...
        def send(): ...
        @app.post("/a")
        async def a(tasks: BackgroundTasks, which: str):
            if which:
                return JSONResponse({}, background=BackgroundTask(send))  #: PL006
            made(background=1)
            return Mine({}, background=tasks)  #: PL006
        @app.post("/b")
        async def b():
            return Mine({}, background=BackgroundTask(send))
    """)
    assert found(checked(module), module) == expected(module)


def test_a_starlette_application_has_no_dependencies(written: Writes) -> None:
    head = HEAD.replace("app = FastAPI()", "from starlette.applications import Starlette\napp = Starlette()")
    module = written("", head=head)
    assert checked(module).findings == ()
