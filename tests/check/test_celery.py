"""What an application of Celery's does otherwise: PL010."""

import re
from pathlib import Path
from types import ModuleType

import pytest

from postlude.check.finding import Report
from tests.check.conftest import HEAD, Writes, checked, expected, found

CELERY = (
    HEAD
    + """
import functools
from celery import Celery, Task, chord
celery = Celery("shop", broker="redis://localhost/0")
task = functools.partial(celery.task, shared=False)  # else every application of the process has it
"""
)


def looked_at(module: ModuleType) -> Report:
    return checked(module, celery=module.celery)


def says(report: Report) -> list[str]:
    return [one.says for one in report.findings]


def test_each_is_found_where_it_stands(written: Writes) -> None:
    module = written(
        """
        @task(acks_late=True)
        def fine(): ...

        @task(acks_late=True, bind=True) #: PL010
        def bound(self): ...

        @task()  #: PL010
        def early(): ...

        @task(acks_late=True, serializer="pickle") #: PL010
        def pickled(): ...

        @task(acks_late=True)
        def waits():
            fine.delay().get() #: PL010
            fine.apply_async().get(timeout=3) #: PL010
            fine.delay().forget()
            {}.get(1)

        def outside():
            fine.delay().get()
            chord([fine.s()])(fine.s()) #: PL010
            fine.apply_async(countdown=3601) #: PL010
            fine.apply_async(countdown=3600)
            unknown().apply_async(countdown=9999)
        """,
        head=CELERY,
    )
    assert found(looked_at(module), module) == expected(module)


def test_what_is_told(written: Writes) -> None:
    module = written("@task(bind=True, serializer='yaml')\ndef work(self): ...", head=CELERY)
    (bound, early, written_as) = says(looked_at(module))
    assert re.fullmatch(r"\S+\.work is bound to its task, `self`", bound)
    assert "acknowledged before it runs" in early
    assert "written as yaml" in written_as


def test_a_class_of_its_own_is_bound(written: Writes) -> None:
    module = written(
        """
        class Work(Task):
            name = "work"
            acks_late = True
            def run(self): ... #: PL010
        celery.register_task(Work())
        """,
        head=CELERY,
    )
    assert found(looked_at(module), module) == expected(module)


@pytest.mark.parametrize(
    ("set_up", "again"),
    [
        ("celery.conf.broker_transport_options = {'visibility_timeout': 60}", True),
        ("celery.conf.broker_transport_options = {'visibility_timeout': 90}", False),
        (
            "celery.conf.update(broker_url='amqp://localhost//', "
            "broker_transport_options={'visibility_timeout': 60})",
            False,
        ),
    ],
)
def test_a_countdown_is_held_against_the_broker(written: Writes, set_up: str, again: bool) -> None:
    module = written(
        f"""
        {set_up}
        @task(acks_late=True)
        def work(): ...
        def later():
            work.apply_async(countdown=61)
        """,
        head=CELERY,
    )
    told = ["countdown=61: after 60 s (visibility_timeout) it is delivered again"]
    assert says(looked_at(module)) == told * again


def test_an_application_without_tasks(written: Writes) -> None:
    assert says(looked_at(written("", head=CELERY))) == []


def test_the_task_that_runs_jobs_is_none_of_the_applications(written: Writes) -> None:
    """It comes along where a queue's engine was given the application."""
    head = CELERY + "from postlude import CeleryEngine\nengine = CeleryEngine(app=celery)\n"
    module = written("@task()\ndef early(): ...\n", head=head)
    assert [told.partition(" is ")[0] for told in says(looked_at(module))] == [f"{module.__name__}.early"]
    assert "postlude.run" in module.celery.tasks


def test_nothing_is_told_unless_it_is_asked_for(written: Writes) -> None:
    module = written("@task()\ndef early(): ...\nchord\n", head=CELERY)
    assert says(checked(module)) == []
    assert Path(str(module.__file__)).exists()


def test_a_comment_silences_it(written: Writes) -> None:
    module = written("@task()  # postlude: ignore[PL010]\ndef early(): ...\n", head=CELERY)
    report = looked_at(module)
    assert report.findings == ()
    assert report.ignored == 1
