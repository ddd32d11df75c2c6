"""One attempt: finding its function and arguments, its time, its surroundings, what it returns."""

import contextvars
import re
from typing import Any

import pytest

from postlude.clock import SECOND
from postlude.jobs.current import CurrentJob, current_job
from postlude.model.outcome import SUCCEEDED, Cancelled, Failed, Outcome, Parked, Succeeded
from postlude.model.overrides import UNBOUNDED, Opts
from postlude.model.state import Reason
from postlude.model.terms import Given
from postlude.runner.attempt.execution import (
    NO_RELEASE,
    Unrunnable,
    bound_in_time,
    ready,
    run_sync,
    surroundings,
)
from postlude.runner.attempt.work import Work
from postlude.tasks.codec.payload import Limits
from postlude.tasks.context import Carried
from postlude.tasks.policy import Policy
from postlude.tasks.registry import Registry
from postlude.tasks.task import Task

CREATED = 1_767_225_600 * SECOND


def add(left: int, right: int = 1) -> int:
    return left + right


def work(task: Task[..., Any] | None = None, payload: bytes = b'{"a":[],"k":{"left":1}}') -> Work:
    made = Work(b"0" * 16, "app:add", "default", payload, CREATED)
    made.task = task
    return made


def task_of(function: Any = add, policy: Policy | None = None) -> Task[..., Any]:
    return Task(function, "app:add", Limits(1024, 10), policy or Policy())


def bound(policy: Policy, opts: Opts, seconds: float) -> float | None:
    made = work(task_of(policy=policy))
    made.given = Given(opts.text())
    assert made.task is not None
    return bound_in_time(made, made.task, CREATED + round(seconds * SECOND))


def refused(policy: Policy, opts: Opts, seconds: float) -> Outcome:
    with pytest.raises(Unrunnable) as raised:
        bound(policy, opts, seconds)
    return raised.value.outcome


class TestReady:
    def test_function_and_arguments_are_found_by_name(self) -> None:
        registry = Registry()
        task = registry.task(add, name="app:add")
        found = work()
        assert ready(found, registry) is task
        assert (found.task, found.args, found.kwargs) == (task, (), {"left": 1})

    def test_what_is_there_is_not_looked_for(self) -> None:
        known = work(task_of(), b"no payload")
        known.args, known.kwargs = (1,), {}
        assert ready(known, Registry()) is known.task
        assert known.args == (1,)

    def test_an_unknown_task_is_parked_for_any_release(self) -> None:
        with pytest.raises(Unrunnable) as raised:
            ready(work(), Registry(strict=True))
        assert raised.value.outcome == Parked(
            Reason.UNKNOWN_TASK, NO_RELEASE, "'app:add' is not declared as a task"
        )

    @pytest.mark.parametrize("payload", [b"", b'{"a":[],"k":{}}', b'{"a":[],"k":{"left":"x"}}'])
    def test_arguments_that_do_not_fit_are_parked_for_this_one(self, payload: bytes) -> None:
        registry = Registry()
        task = registry.task(add, name="app:add")
        with pytest.raises(Unrunnable) as raised:
            ready(work(payload=payload), registry)
        outcome = raised.value.outcome
        assert isinstance(outcome, Parked)
        assert outcome[:2] == (Reason.INVALID_ARGUMENTS, task.release)
        assert re.fullmatch(rf".+ \(release {task.release} of its parameters\)", outcome.why)
        assert task.release


class TestBoundInTime:
    def test_without_bounds_it_may_take_as_long_as_it_likes(self) -> None:
        assert bound(Policy(), Opts(), 1e6) is None

    def test_the_calls_timeout_comes_first(self) -> None:
        assert bound(Policy(timeout=30), Opts(), 0) == 30
        assert bound(Policy(timeout=30), Opts(timeout=5), 0) == 5
        assert bound(Policy(timeout=30), Opts(timeout=500), 0) == 500
        assert bound(Policy(timeout=30), Opts(timeout=UNBOUNDED), 0) is None
        assert bound(Policy(), Opts(timeout=5), 0) == 5

    def test_what_is_left_until_the_deadline(self) -> None:
        assert bound(Policy(deadline=30), Opts(), 10) == 20
        assert bound(Policy(timeout=5, deadline=30), Opts(), 10) == 5
        assert bound(Policy(timeout=25, deadline=30), Opts(), 10) == 20
        assert bound(Policy(deadline=30), Opts(deadline=CREATED + 15 * SECOND), 10) == 5
        assert bound(Policy(deadline=30), Opts(deadline=UNBOUNDED), 100) is None

    @pytest.mark.parametrize("seconds", [30, 31])
    def test_after_the_deadline_nothing_starts(self, seconds: int) -> None:
        outcome = refused(Policy(deadline=30), Opts(), seconds)
        assert isinstance(outcome, Failed)
        assert (outcome.retry_at, outcome.reason) == (None, Reason.DEADLINE)
        assert outcome.error.startswith("TimeoutError: the time for all of its attempts was over")

    def test_what_has_expired_does_not_start(self) -> None:
        assert bound(Policy(expires=30), Opts(), 30) is None
        for policy, opts in (
            (Policy(expires=30), Opts()),
            (Policy(), Opts(expires=CREATED + 30 * SECOND)),
            (Policy(expires=99), Opts(expires=CREATED + 30 * SECOND)),
            (Policy(expires=30, deadline=30), Opts()),
        ):
            assert refused(policy, opts, 30.000001) == Cancelled(Reason.EXPIRED)
        assert bound(Policy(expires=30), Opts(expires=UNBOUNDED), 31) is None

    def test_a_copy_and_what_is_stored_of_it_say_the_same(self) -> None:
        """The first attempt may be run by the copy, the others by the task."""
        task = task_of(policy=Policy(timeout=30, expires=60, deadline=90))
        copy = task.using(timeout=None, deadline=None, expires=None)
        made = work()
        terms = copy.terms(CREATED)
        assert terms is not None
        made.given = terms.given
        for runs in (task, copy):
            assert bound_in_time(made, runs, CREATED + 100 * SECOND) is None


class TestRunning:
    def run(self, function: Any, *args: Any) -> Outcome | BaseException:
        made = work(task := task_of(function))
        made.args, made.kwargs = args, {}
        return run_sync(made, task)

    def test_what_it_returns_is_kept(self) -> None:
        assert self.run(add, 1) == Succeeded(b"2")
        assert self.run(lambda: None) is SUCCEEDED

    def test_what_it_raises_is_returned(self) -> None:
        for error in (ValueError("x"), SystemExit(3), KeyboardInterrupt()):

            def fail(error: BaseException = error) -> None:
                raise error

            assert self.run(fail) is error

    def test_a_result_without_a_durable_form_is_dropped(self) -> None:
        def connect() -> object:
            return object()

        made = work(task := task_of(connect))
        made.args, made.kwargs = (), {}
        assert run_sync(made, task) == Succeeded(None, True)

    def test_a_coroutine_is_not_a_result(self) -> None:
        async def later() -> None: ...

        outcome = self.run(lambda: later())
        assert isinstance(outcome, TypeError)
        assert "app:add is not async but returned a coroutine; await it" in str(outcome)

    def test_it_runs_among_what_travels_with_it(self) -> None:
        tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")
        other: contextvars.ContextVar[str] = contextvars.ContextVar("other", default="nothing")
        carried = Carried([tenant])
        tenant.set("acme")
        other.set("of the request")
        made = work()
        made.given = Given(context=carried.capture())
        tenant.set("somebody else")
        current = CurrentJob(made.id, "app:add", "default", 3)
        context = surroundings(made, current, carried)
        seen = context.run(lambda: (tenant.get(), other.get(), current_job()))
        assert seen == ("acme", "nothing", current)
        assert current_job().detached
