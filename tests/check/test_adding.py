"""What is added: PL001 to PL004, and what nothing is said of."""

import pytest

from postlude.check.finding import Level
from tests.check.conftest import Writes, checked, expected, found

SAMPLES = {
    "functions at module level": """
        import os
        from functools import partial
        def send(address: str, times: int = 1) -> None: ...
        class Mail:
            @staticmethod
            def send(address: str) -> None: ...
            @classmethod
            def make(cls, address: str) -> None: ...
        mail = Mail()
        @app.post("/a")
        async def a(tasks: BackgroundTasks, address: str):
            tasks.add_task(send, address)
            tasks.add_task(send, "a@b.c", times=2)
            tasks.add_task(partial(send, address, times=3))
            tasks.add_task(partial(send, times=3), address)
            tasks.add_task(Mail.send, address)
            tasks.add_task(Mail.make, address)
            tasks.add_task(mail.send, address)
            tasks.add_task(mail.make, address)
            tasks.add_task(func=send, address=address)
            job = send
            tasks.add_task(job, address)
    """,
    "what no other process can import": """
        import os
        from functools import partial
        class Mailer:
            def send(self): ...
            def deliver(self, tasks: BackgroundTasks):
                tasks.add_task(self.send)  #: PL001
                tasks.add_task(Mailer.send, self)
        mailer = Mailer()
        loud = lambda: None
        @app.post("/a")
        async def a(tasks: BackgroundTasks, path: str):
            def nested(): ...
            quick = lambda: None
            tasks.add_task(lambda: None)  #: PL001
            tasks.add_task(nested)  #: PL001
            tasks.add_task(quick)  #: PL001
            tasks.add_task(loud)  #: PL001
            tasks.add_task(mailer.send)  #: PL001
            tasks.add_task(os.remove, path)  #: PL001
            tasks.add_task(print, "done")  #: PL001
            tasks.add_task(partial(os.remove, path))  #: PL001
    """,
    "what is registered": """
        import os
        remove = postlude.task(os.remove)
        @postlude.task(key="x") if False else postlude.task
        def send(address: str) -> None: ...
        @app.post("/a")
        async def a(tasks: BackgroundTasks, path: str):
            tasks.add_task(remove, path)
            tasks.add_task(os.remove, path)
            tasks.add_task(send.using(delay=5), path)
            tasks.add_task(send, 5)  #: PL003
            tasks.add_task(send.using(delay=5), 5)  #: PL003
    """,
    "wherever tasks are added": """
        from typing import Annotated, Optional
        import fastapi
        from fastapi import Depends, Request
        from fastapi.responses import JSONResponse
        from starlette.background import BackgroundTask, BackgroundTasks as Several
        Tasks = Annotated[BackgroundTasks, "of the request"]
        def dependency(tasks: BackgroundTasks):
            tasks.add_task(lambda: None)  #: PL001
        def one(tasks: "BackgroundTasks"):
            tasks.add_task(lambda: None)  #: PL001
        def two(tasks: Optional[BackgroundTasks] = None):
            tasks.add_task(lambda: None)  #: PL001
        def three(tasks: BackgroundTasks | None = None):
            tasks.add_task(lambda: None)  #: PL001
        def four(tasks: Tasks):
            tasks.add_task(lambda: None)  #: PL001
        def five(tasks: fastapi.BackgroundTasks):
            tasks.add_task(lambda: None)  #: PL001
        def six():
            tasks = Several()
            tasks.add_task(lambda: None)  #: PL001
            return JSONResponse({}, background=BackgroundTask(lambda: None))  #: PL001
        def seven(tasks: Annotated[BackgroundTasks, "of the request"]):
            def inner():
                tasks.add_task(lambda: None)  #: PL001
            inner()
    """,
    "where a call raises": """
        from postlude.fastapi import BackgroundTasks as Strict
        @app.post("/a")
        async def a(tasks: Strict):
            tasks.add_task(lambda: None)  #: PL001
        async def b():
            await postlude.add_task(lambda: None)  #: PL001
        def c():
            postlude.blocking.add_task(lambda: None)  #: PL001
        async def d(tasks: Strict, both: BackgroundTasks, session):
            tasks.within(session).add_task(lambda: None)  #: PL001
            both.within(session).add_task(lambda: None)  #: PL001
            postlude.within(session).add_task(lambda: None)  #: PL001
            await postlude.within(session).add_task(c)
        async def e(tasks: Strict):
            tasks.accepted(tasks.add_task(c))
            return tasks.accepted(tasks.add_task(lambda: None))  #: PL001
        async def f(tasks: Strict):
            job = tasks.add_task(lambda: None)  #: PL001
            return tasks.accepted(job)
            session.within(session).add_task(c)  #: ?
    """,
    "what is not certain": """
        from functools import partial
        send = None
        def choose(): ...
        def set_up():
            global send
            send = choose
        for each in (choose, set_up):
            pass
        @app.post("/a")
        async def a(tasks: BackgroundTasks, other, which: bool, args: list, kwargs: dict):
            tasks.add_task(other)  #: ?
            tasks.add_task(choose())  #: ?
            tasks.add_task(send)  #: ?
            tasks.add_task(each)  #: ?
            tasks.add_task(choose if which else set_up)  #: ?
            tasks.add_task(choose, *args)  #: ?
            tasks.add_task(choose, **kwargs)  #: ?
            tasks.add_task(*args)  #: ?
            other.add_task(choose)  #: ?
            if which:
                job = choose
            else:
                job = set_up
            tasks.add_task(job)  #: ?
            for job_of in args:
                tasks.add_task(job_of)  #: ?
            [tasks.add_task(f) for f in args]  #: ?
            later = partial(choose)
            tasks.add_task(later)  #: ?
            tasks = other
        def b(choose, tasks: BackgroundTasks):
            tasks.add_task(choose)  #: ?
    """,
    "what is not about tasks": """
        class Progress:
            def add_task(self, name): ...
        progress = Progress()
        def a(bar: Progress):
            bar.add_task("copy")
            progress.add_task("copy")
    """,
    "arguments that do not fit": """
        def send(address: str, times: int = 1, *, loud: bool = False) -> None: ...
        def free(what, *more, **named): ...
        @app.post("/a")
        async def a(tasks: BackgroundTasks, address: str):
            tasks.add_task(send)  #: PL003
            tasks.add_task(send, address, 1, True)  #: PL003
            tasks.add_task(send, address, quiet=True)  #: PL003
            tasks.add_task(send, address, "7")  #: PL003
            tasks.add_task(send, 7)  #: PL003
            tasks.add_task(send, None)  #: PL003
            tasks.add_task(send, address, times=1.5)  #: PL003
            tasks.add_task(send, address, -1, loud=True)
            tasks.add_task(free, address, 1, 2, three=3)
            tasks.add_task(free, {"a": [1, None]}, 1)
            tasks.add_task(free, (1, 2))  #: PL003
            tasks.add_task(free, {1: 2})  #: PL003
            tasks.add_task(free, b"x")  #: PL003
    """,
    "arguments that are known by their annotation": """
        from dataclasses import dataclass
        from datetime import datetime
        from pydantic import BaseModel
        from fastapi import UploadFile, Request
        class Order(BaseModel):
            id: int
        @dataclass
        class Place:
            name: str
        def free(what): ...
        def typed(what: Order): ...
        def moment(at: datetime): ...
        def upload(file: UploadFile): ...
        @app.post("/a")
        async def a(tasks: BackgroundTasks, order: Order, place: Place, at: datetime, file: UploadFile,
                    request: Request, name: str, names: list[str], maybe: Order | None = None):
            tasks.add_task(free, order)  #: PL004
            tasks.add_task(free, maybe)  #: PL004
            tasks.add_task(free, place)  #: PL004
            tasks.add_task(free, what=at)  #: PL004
            tasks.add_task(typed, order)
            tasks.add_task(typed, maybe)
            tasks.add_task(moment, at)
            tasks.add_task(free, name)
            tasks.add_task(free, names)
            tasks.add_task(free, file)  #: PL001
            tasks.add_task(upload, file)  #: PL001
            tasks.add_task(free, request)  #: PL001
        def b(tasks: BackgroundTasks, order: Order):
            order = order.id
            tasks.add_task(free, order)
    """,
    "what a comment ignores": """
        @app.post("/a")
        async def a(tasks: BackgroundTasks):
            tasks.add_task(lambda: None)  # postlude: ignore[PL001]
            tasks.add_task(lambda: None)  # postlude: ignore
            tasks.add_task(lambda: None)  # postlude: ignore[PL002, PL001] it is a cache
            tasks.add_task(lambda: None)  # postlude: ignore[PL002] #: PL001
            "postlude: ignore"; tasks.add_task(lambda: None)  #: PL001
    """,
}


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_gives_what_its_comments_say(written: Writes, sample: str) -> None:
    module = written(SAMPLES[sample])
    assert found(checked(module), module) == expected(module)


def test_a_finding_says_what_add_task_says(written: Writes) -> None:
    module = written("""
        def send(address: str) -> None: ...
        @app.post("/a")
        async def a(tasks: BackgroundTasks):
            tasks.add_task(send, 7)
    """)
    (one,) = checked(module).findings
    assert one.severity is Level.WARNING
    assert one.says.startswith("runs in memory only: ")
    assert "argument 'address' is of type int" in one.says


def test_where_a_call_raises_the_finding_is_an_error(written: Writes) -> None:
    module = written(SAMPLES["where a call raises"])
    assert {one.severity for one in checked(module).findings} == {Level.ERROR}
    assert all(one.says.startswith("this call raises: ") for one in checked(module).findings)


def test_with_strict_each_plain_function_is_told(written: Writes) -> None:
    head = """
from fastapi import FastAPI, BackgroundTasks
from postlude import Postlude
app = FastAPI()
postlude = Postlude(app, store="memory", packages=[__name__], strict=True)
"""
    module = written(
        """
        def send(): ...
        def a(tasks: BackgroundTasks):
            tasks.add_task(send)  #: PL001
    """,
        head=head,
    )
    assert found(checked(module), module) == expected(module)


def test_parameters_that_nothing_can_be_kept_for_are_told_where_the_task_is(written: Writes) -> None:
    module = written("""
        from fastapi import Depends, Request, UploadFile
        import threading
        def session(): ...
        @postlude.task  #: PL002
        def upload(file: UploadFile): ...
        @postlude.task
        def fine(name: str, session: object = Depends(session), request: Request | None = None): ...
        @postlude.task  #: PL002
        def locked(lock: threading.Event): ...
        @postlude.task  #: PL002
        def unknown(order: "Odrer"): ...
    """)
    assert found(checked(module), module) == expected(module)


def test_calls_are_counted(written: Writes) -> None:
    module = written(SAMPLES["what is not certain"])
    report = checked(module)
    assert report.calls == 0
    assert len(report.not_looked_at) == len(expected(module))
    module = written(SAMPLES["what a comment ignores"])
    report = checked(module)
    assert (report.calls, report.ignored) == (5, 3)
