"""What the end of an attempt means for its job."""

import asyncio
import logging
import random
from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any

import pytest

from postlude.clock import SECOND
from postlude.errors import Discard, RetryLater, Snooze
from postlude.messages.raised import text_of
from postlude.model.event import Event
from postlude.model.event.jobs import AttemptUnsuccessful, JudgingFailed
from postlude.model.outcome import Cancelled, Failed, Outcome, Snoozed
from postlude.model.overrides import UNBOUNDED, Opts
from postlude.model.retry import ONCE, Fixed, Retry
from postlude.model.state import Reason
from postlude.model.terms import Given
from postlude.runner.attempt.outcome import Outcomes, describe, is_own
from postlude.runner.attempt.work import Stopping, Work
from postlude.runner.executors.overtime import Overtime
from postlude.runner.executors.process.failures import ChildFailed, ProcessDied
from postlude.tasks.codec.payload import Limits
from postlude.tasks.policy import Policy
from postlude.tasks.task import Task
from postlude.telemetry.events import Events
from postlude.telemetry.logging import logged

CREATED = 1_767_225_600 * SECOND
NOW = CREATED + 10 * SECOND
PLAIN = Policy(retry=Retry(3, Fixed(60)))


def function() -> None: ...


def work(policy: Policy = PLAIN, **fields: Any) -> Work:
    made = Work(b"0" * 16, "app:f", "default", b"", CREATED)
    made.task = Task(function, "app:f", Limits(1024, 10), policy)
    made.once = made.task.once
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def judge(of: Work, error: BaseException, now: int = NOW, most: int = 16 * 1024) -> Outcome:
    return Outcomes(random.Random(1), most, logged()).judge(of, error, now)


def failed(of: Work, error: BaseException, now: int = NOW) -> Failed:
    outcome = judge(of, error, now)
    assert isinstance(outcome, Failed)
    return outcome


def raised(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError


def calls(call: Callable[[], object]) -> object:
    return call()


class Unspeakable:
    """Makes an exception fail to say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("not telling")


class Shy(Exception):
    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)


class Insured(Exception):
    """Has attributes of its own that mean something else here, for errors of processes."""

    covered = False
    told = "everything"
    is_end_of_process = True


class TestFailures:
    def test_another_attempt_comes_while_there_are_some(self) -> None:
        dues = [failed(work(failures=failures), ValueError()).retry_at for failures in (0, 1, 2, 3)]
        assert dues == [NOW + 60 * SECOND, NOW + 60 * SECOND, None, None]

    def test_what_is_kept_of_it(self) -> None:
        outcome = failed(work(), raised(lambda: int("seven")))
        assert outcome.error == "ValueError: invalid literal for int() with base 10: 'seven'"
        assert outcome.traceback.startswith("Traceback (most recent call last):\n")
        assert outcome.traceback.endswith(f"{outcome.error}\n")
        assert outcome.reason is None

    def test_plain_functions_fail_at_once(self) -> None:
        assert failed(work(Policy(retry=ONCE)), ValueError()).retry_at is None

    def test_at_most_once_means_it(self) -> None:
        policy = Policy(retry=Retry(9), delivery="at_most_once")
        assert failed(work(policy), ValueError()).retry_at is None
        assert failed(work(policy), RetryLater(5)).retry_at is None

    def test_a_job_whose_task_is_unknown_is_not_tried_again(self) -> None:
        assert failed(work(task=None), ValueError()).retry_at is None

    def test_only_what_the_policy_covers(self) -> None:
        policy = Policy(retry=Retry(on=OSError, unless=FileNotFoundError))
        assert failed(work(policy), TimeoutError()).retry_at is not None
        assert failed(work(policy), FileNotFoundError()).retry_at is None
        assert failed(work(policy), ValueError()).retry_at is None

    def test_what_its_call_has_set_comes_first(self) -> None:
        opts = Opts(attempts=2, backoff=Fixed(5)).text()
        assert failed(work(given=Given(opts)), ValueError()).retry_at == NOW + 5 * SECOND
        assert failed(work(given=Given(opts), failures=1), ValueError()).retry_at is None
        assert failed(work(given=Given("garbage")), ValueError()).retry_at == NOW + 60 * SECOND

    def test_a_function_gets_the_number_of_failures(self) -> None:
        policy = Policy(retry=Retry(9, backoff=lambda failures: failures * 10))
        dues = [failed(work(policy, failures=failures), ValueError()).retry_at for failures in (0, 1, 2)]
        assert dues == [NOW + 10 * SECOND, NOW + 20 * SECOND, NOW + 30 * SECOND]

    @pytest.mark.parametrize(
        "wait", [lambda failures: 1 / 0, lambda failures: None, lambda failures: "x" * 5]
    )
    def test_a_wait_that_cannot_be_had_is_a_minute(self, wait: Any, caplog: pytest.LogCaptureFixture) -> None:
        policy = Policy(retry=Retry(3, backoff=wait))
        assert failed(work(policy), ValueError()).retry_at == NOW + 60 * SECOND
        assert "the backoff of app:f failed; job app:f (" in caplog.text
        assert failed(work(policy, failures=2), ValueError()).retry_at is None

    def test_a_cancellation_that_nobody_asked_for_is_a_failure(self) -> None:
        assert failed(work(), asyncio.CancelledError()).retry_at == NOW + 60 * SECOND

    def test_the_log_has_the_traceback_of_the_last_one_only(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "postlude.jobs")
        failed(work(), raised(lambda: int("seven")))
        failed(work(failures=2), raised(lambda: int("seven")))
        first, last = caplog.records
        assert (first.levelname, first.exc_info) == ("WARNING", None)
        assert "failed, attempt 1; the next is due in 60.0 s: ValueError: invalid" in first.getMessage()
        assert last.levelname == "ERROR"
        assert last.exc_info is not None
        assert last.getMessage().endswith("failed, attempt 3")


def test_what_cannot_be_judged_has_failed_and_both_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    own, heard = RuntimeError("what nobody has thought of"), list[Event]()

    def breaks(*_: object) -> None:
        raise own

    outcomes = Outcomes(random.Random(1), 1024, events := Events())
    events.listen(heard.append, JudgingFailed, AttemptUnsuccessful)
    monkeypatch.setattr(outcomes, "_failed", breaks)
    of = work()
    assert outcomes.judge(of, ValueError("seven"), NOW) == Failed("ValueError", "ValueError")
    failed, ended = heard
    assert failed == JudgingFailed(*of.identity, own)
    assert isinstance(ended, AttemptUnsuccessful)
    assert (ended.outcome, ended.error) == (Failed("ValueError", "ValueError"), None)


class TestWhatATaskDecides:
    def test_a_snooze_costs_no_attempt(self) -> None:
        for failures in (0, 2, 7):
            assert judge(work(failures=failures), Snooze(1.5)) == Snoozed(NOW + 1_500_000)
        assert judge(work(Policy(delivery="at_most_once")), Snooze(0)) == Snoozed(NOW)
        assert judge(work(task=None), Snooze(5)) == Snoozed(NOW + 5 * SECOND)

    def test_a_snooze_ends_before_the_deadline(self, caplog: pytest.LogCaptureFixture) -> None:
        policy = Policy(deadline=30)
        assert judge(work(policy), Snooze(19.999)) == Snoozed(NOW + 19_999_000)
        assert caplog.records == []
        outcome = failed(work(policy), Snooze(20))
        assert (outcome.retry_at, outcome.reason) == (None, Reason.DEADLINE)
        assert outcome.error == "postlude.errors.Snooze: again in 20 s"
        assert "failed: it snoozes beyond its deadline" in caplog.text

    def test_discarding_is_for_good(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "postlude.jobs")
        outcome = judge(work(), Discard("no such order"))
        assert outcome == Cancelled(Reason.DISCARDED, "Discard: no such order")
        assert "discards itself: no such order" in caplog.text

    def test_a_long_reason_is_cut(self) -> None:
        outcome = judge(work(), Discard("x" * 5000))
        assert isinstance(outcome, Cancelled)
        assert outcome.error == f"Discard: {'x' * 991}"

    @pytest.mark.parametrize("stopping", list(Stopping))
    def test_it_decides_also_while_it_is_stopped(self, stopping: Stopping) -> None:
        assert judge(work(stopping=stopping, seconds=1), Snooze(5)) == Snoozed(NOW + 5 * SECOND)
        outcome = judge(work(stopping=stopping, seconds=1), Discard())
        assert outcome == Cancelled(Reason.DISCARDED, "Discard: ")

    def test_a_later_retry_is_a_failure_with_a_time(self) -> None:
        outcome = failed(work(), RetryLater(90, "busy"))
        assert (outcome.retry_at, outcome.error) == (NOW + 90 * SECOND, "postlude.errors.RetryLater: busy")
        assert failed(work(failures=1), RetryLater(90)).retry_at == NOW + 90 * SECOND
        assert failed(work(failures=2), RetryLater(90)).retry_at is None

    def test_a_later_retry_needs_no_cover(self) -> None:
        policy = Policy(retry=Retry(3, on=OSError, unless=RetryLater))
        assert failed(work(policy), RetryLater(0)).retry_at == NOW

    def test_a_later_retry_beyond_the_deadline_is_none(self) -> None:
        outcome = failed(work(Policy(deadline=30)), RetryLater(20))
        assert (outcome.retry_at, outcome.reason) == (None, Reason.DEADLINE)


def group(*errors: BaseException) -> BaseException:
    return BaseExceptionGroup("unhandled errors in a TaskGroup", errors)


class TestGroups:
    """What a `TaskGroup` in a task makes of what its children raise."""

    def test_one_of_decisions_alone_is_a_decision(self) -> None:
        assert judge(work(), group(Snooze(5))) == Snoozed(NOW + 5 * SECOND)
        assert judge(work(), group(group(Discard("no such order")))) == Cancelled(
            Reason.DISCARDED, "Discard: no such order"
        )
        outcome = failed(work(), group(RetryLater(90, "busy")))
        assert (outcome.retry_at, outcome.error) == (NOW + 90 * SECOND, "postlude.errors.RetryLater: busy")

    def test_of_several_the_one_counts_that_ends_more_or_waits_longest(self) -> None:
        several = group(Snooze(9), Discard("gone"), group(RetryLater(5)), Snooze(2))
        assert judge(work(), several) == Cancelled(Reason.DISCARDED, "Discard: gone")
        assert failed(work(), group(Snooze(9), RetryLater(5), RetryLater(3))).retry_at == NOW + 5 * SECOND
        assert judge(work(), group(Snooze(2), Snooze(9), Snooze(3))) == Snoozed(NOW + 9 * SECOND)

    @pytest.mark.parametrize("decision", [Snooze(5), Discard(), RetryLater(5)])
    def test_with_an_error_in_it_it_is_an_error(self, decision: Exception) -> None:
        outcome = failed(work(), group(group(decision), ValueError("seven")))
        assert outcome.retry_at == NOW + 60 * SECOND
        assert "ValueError: seven" in outcome.traceback
        assert outcome.error.startswith("ExceptionGroup: unhandled errors in a TaskGroup")

    def test_the_policy_looks_at_the_errors_in_it(self) -> None:
        policy = Policy(retry=Retry(on=OSError, unless=FileNotFoundError))
        assert failed(work(policy), group(TimeoutError(), group(OSError(), Snooze(1)))).retry_at is not None
        assert failed(work(policy), group(TimeoutError(), ValueError())).retry_at is None
        assert failed(work(policy), group(TimeoutError(), group(FileNotFoundError()))).retry_at is None

    def test_what_a_group_says_of_itself_is_not_asked(self) -> None:
        class Empty(ExceptionGroup[Exception]):
            exceptions = ()

        assert judge(work(), Empty("x", [Snooze(5)])) == Snoozed(NOW + 5 * SECOND)


class TestStopped:
    @pytest.mark.parametrize("error", [asyncio.CancelledError(), ProcessDied("killed")])
    def test_a_job_that_stops_when_asked_is_cancelled(self, error: BaseException) -> None:
        assert judge(work(stopping=Stopping.CANCEL), error) == Cancelled()

    def test_what_it_raises_instead_is_kept(self) -> None:
        outcome = judge(work(stopping=Stopping.CANCEL), raised(lambda: int("x")))
        assert isinstance(outcome, Cancelled)
        assert (outcome.reason, outcome.error) == (
            None,
            "ValueError: invalid literal for int() with base 10: 'x'",
        )
        assert outcome.traceback.startswith("Traceback")

    def test_nobody_tries_it_again(self) -> None:
        assert judge(work(stopping=Stopping.CANCEL), ChildFailed("E: x", "Traceback", True)) == Cancelled(
            None, "E: x", "Traceback"
        )

    def test_a_timeout_is_a_failure(self) -> None:
        outcome = failed(work(stopping=Stopping.TIMEOUT, seconds=1.5), asyncio.CancelledError())
        assert outcome.error == "TimeoutError: the attempt took longer than 1.5 s"
        assert outcome.retry_at == NOW + 60 * SECOND
        assert outcome.traceback.count("Error") == 1

    @pytest.mark.parametrize(
        ("stopping", "error"), [(Stopping.TIMEOUT, asyncio.CancelledError()), (None, Overtime())]
    )
    def test_the_last_one_says_so_also_where_nobody_has_noticed_before_its_end(
        self, stopping: Stopping | None, error: BaseException
    ) -> None:
        once = Policy(retry=ONCE)
        assert failed(work(once, stopping=stopping, seconds=1), error).reason is Reason.TIMED_OUT
        assert failed(work(stopping=stopping, seconds=1), error).reason is None, "another one comes"

    def test_a_timeout_is_a_timeout_error_for_the_policy(self) -> None:
        stopped = {"stopping": Stopping.TIMEOUT, "seconds": 1}
        only = Policy(retry=Retry(on=TimeoutError))
        never = Policy(retry=Retry(unless=TimeoutError))
        assert failed(work(only, **stopped), ValueError()).retry_at is not None
        assert failed(work(never, **stopped), ValueError()).retry_at is None

    def test_what_it_raises_when_its_time_is_over_is_the_cause(self) -> None:
        stopped = work(stopping=Stopping.TIMEOUT, seconds=1)
        text = failed(stopped, raised(lambda: int("seven"))).traceback
        assert "'seven'" in text
        assert "direct cause" in text
        assert text.endswith("TimeoutError: the attempt took longer than 1 s\n")
        assert "cause" not in failed(stopped, ProcessDied("killed")).traceback


class TestDeadline:
    def test_no_attempt_follows_that_would_come_too_late(self) -> None:
        late = failed(work(Policy(retry=Retry(3, Fixed(20)), deadline=30)), ValueError())
        assert (late.retry_at, late.reason) == (None, Reason.DEADLINE)
        early = failed(work(Policy(retry=Retry(3, Fixed(19)), deadline=30)), ValueError())
        assert (early.retry_at, early.reason) == (NOW + 19 * SECOND, None)

    def test_the_last_failure_says_whether_it_was_too_late_as_well(self) -> None:
        policy = Policy(retry=ONCE, deadline=30)
        assert failed(work(policy), ValueError(), CREATED + 29 * SECOND).reason is None
        assert failed(work(policy), ValueError(), CREATED + 30 * SECOND).reason is Reason.DEADLINE

    def test_the_calls_deadline_comes_first(self) -> None:
        policy = Policy(retry=Retry(3, Fixed(19)), deadline=30)
        opts = Opts(deadline=NOW + 5 * SECOND).text()
        assert failed(work(policy, given=Given(opts)), ValueError()).reason is Reason.DEADLINE
        assert failed(work(given=Given(opts)), ValueError()).reason is Reason.DEADLINE
        none = work(
            Policy(retry=Retry(3, Fixed(99)), deadline=30), given=Given(Opts(deadline=UNBOUNDED).text())
        )
        assert failed(none, ValueError()).retry_at == NOW + 99 * SECOND


class TestProcesses:
    """What was raised in another process comes as text, judged there."""

    @pytest.mark.parametrize("covered", [True, False])
    def test_the_other_process_knows_what_is_covered(self, covered: bool) -> None:
        outcome = failed(work(), ChildFailed("E: x", "Traceback of it", covered))
        assert (outcome.error, outcome.traceback) == ("E: x", "Traceback of it")
        assert (outcome.retry_at is not None) is covered

    def test_a_death_is_a_failure_by_the_policy(self) -> None:
        assert failed(work(), ProcessDied("killed")).retry_at == NOW + 60 * SECOND
        assert failed(work(Policy(retry=Retry(on=OSError))), ProcessDied("killed")).retry_at is None

    def test_attributes_of_other_errors_mean_nothing(self) -> None:
        outcome = failed(work(), Insured("x"))
        assert outcome.retry_at == NOW + 60 * SECOND
        assert outcome.error.endswith(".Insured: x")
        assert is_own(Insured())
        kept = judge(work(stopping=Stopping.CANCEL), Insured("x"))
        assert isinstance(kept, Cancelled)
        assert kept.error == outcome.error


class TestTexts:
    def test_an_error_that_cannot_say_what_it_is(self) -> None:
        outcome = failed(work(), ValueError(Unspeakable()))
        assert outcome.error == "ValueError: <exception str() failed>"
        assert outcome.retry_at == NOW + 60 * SECOND
        assert judge(work(), Discard(Unspeakable())) == Cancelled(
            Reason.DISCARDED, "Discard: (its text cannot be had)"
        )
        assert "RetryLater" in failed(work(), RetryLater(1, Unspeakable())).error  # type: ignore[arg-type]

    def test_an_error_whose_attributes_raise(self) -> None:
        outcome = failed(work(), Shy("x"))
        assert outcome.retry_at == NOW + 60 * SECOND
        assert "Shy" in outcome.error

    @pytest.mark.parametrize("error", [ValueError("\udcff"), Discard("\udcff")])
    def test_all_of_it_can_be_written(self, error: BaseException) -> None:
        """One text that UTF-8 cannot write would keep the ends of other jobs from the journal too."""
        outcome = judge(work(), error)
        assert isinstance(outcome, Failed | Cancelled)
        assert outcome.error is not None
        assert outcome.error.encode().endswith(rb": \udcff")
        outcome.traceback.encode()

    def test_texts_are_capped(self) -> None:
        line, text = describe(ValueError("x" * 5000), 100)
        assert len(line) == 1000
        assert text.startswith("ValueError: xxx")
        assert "\n... 4913 characters left out ...\n" in text
        assert len(text) < 150
        short = describe(ValueError("x"), 100)
        assert short == ("ValueError: x", "ValueError: x\n")

    def test_our_frames_that_ran_it_are_left_out(self) -> None:
        def run() -> None:
            raised_by_itself()

        def raised_by_itself() -> None:
            int("seven")

        ours = {**globals(), "__name__": "postlude.runner.some_lane"}
        executor, below = FunctionType(raised.__code__, ours), FunctionType(calls.__code__, ours)
        error = executor(partial(below, run))
        frames = [line for line in describe(error, 10_000)[1].splitlines() if line.startswith("  File")]
        assert [frame.rpartition(" in ")[2] for frame in frames] == ["run", "raised_by_itself"]

    def test_an_error_of_our_own_keeps_its_frames(self) -> None:
        ours = {**globals(), "__name__": "postlude.runner.some_lane"}
        error = FunctionType(raised.__code__, ours)(partial(int, "seven"))
        assert "in raised" in describe(error, 10_000)[1]

    def test_the_text_alone(self) -> None:
        assert text_of(Discard("a", "b")) == "('a', 'b')"
        assert text_of(ValueError(Unspeakable())) == "(its text cannot be had)"


class Bare(Snooze):
    def __init__(self) -> None:  # does not call the class that it is made from
        self.why = "x"


class BareLater(RetryLater):
    def __init__(self) -> None:
        self.why = "x"


class Owner(type):
    """Classes that fail whatever they are asked."""

    def __instancecheck__(cls, instance: object) -> bool:
        raise SystemExit

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise SystemExit


class Hostile(Exception, metaclass=Owner):
    """Fails whatever it is asked, and not by `Exception`."""

    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit

    def __eq__(self, other: object) -> bool:
        raise SystemExit

    __hash__ = Exception.__hash__


class HostileSnooze(Snooze):
    wait = property(lambda self: Unspeakable().__str__())


class TestHostileErrors:
    """An error's class is the application's: whatever it does, the job has an end."""

    @pytest.mark.parametrize("kind", [Bare, BareLater, Hostile], ids=["Snooze", "RetryLater", "Exception"])
    def test_it_is_a_failure_as_others_are(self, kind: type[BaseException]) -> None:
        for failures, due in ((0, NOW + 60 * SECOND), (2, None)):
            outcome = failed(work(failures=failures), raised(lambda: raise_(kind())))
            assert outcome.retry_at == due
            assert type.__dict__["__name__"].__get__(kind) in outcome.error

    def test_a_snooze_that_cannot_be_read(self) -> None:
        error = HostileSnooze.__new__(HostileSnooze)
        assert failed(work(), error).retry_at == NOW + 60 * SECOND

    @pytest.mark.parametrize("stopping", Stopping)
    def test_also_where_it_was_interrupted(self, stopping: Stopping) -> None:
        outcome = judge(work(stopping=stopping, seconds=1), raised(lambda: raise_(Hostile())))
        assert isinstance(outcome, Cancelled if stopping is Stopping.CANCEL else Failed)

    def test_classes_that_cannot_be_asked_count_as_covered(self) -> None:
        assert (
            failed(work(Policy(retry=Retry(3, Fixed(9), on=Hostile))), ValueError()).retry_at
            == NOW + 9 * SECOND
        )

    @pytest.mark.parametrize("error", [ValueError(), SystemExit(), KeyboardInterrupt()], ids=repr)
    def test_a_backoff_that_raises_waits_a_minute(self, error: BaseException) -> None:
        policy = Policy(retry=Retry(3, lambda failures: raise_(error)))
        assert failed(work(policy), ValueError()).retry_at == NOW + 60 * SECOND

    def test_what_cannot_be_judged_at_all_has_failed(self) -> None:
        """An error of our own, say: nothing is known of the policy."""
        outcome = failed(work(task=object()), ValueError("x"))
        assert (outcome.error, outcome.retry_at) == ("ValueError", None)


class TestWrongWaits:
    """A wait that is none costs this attempt, and the policy says what comes next."""

    @pytest.mark.parametrize("kind", [Snooze, RetryLater])
    def test_the_policy_decides(self, kind: Any) -> None:
        policy = Policy(retry=Retry(3, Fixed(9), on=OSError))
        for given in ("soon", None, -1, float("nan")):
            assert failed(work(policy), kind(given)).retry_at == NOW + 9 * SECOND
            assert failed(work(policy, failures=2), kind(given)).retry_at is None

    def test_dates_are_by_the_runners_clock(self) -> None:
        date = "Thu, 01 Jan 2026 00:00:40 GMT"
        assert judge(work(), Snooze(date)) == Snoozed(NOW + 30 * SECOND)
        assert failed(work(), RetryLater(date)).retry_at == NOW + 30 * SECOND
        assert failed(work(), RetryLater("Wed, 31 Dec 2025 23:59:59 GMT")).retry_at == NOW


def raise_(error: BaseException) -> Any:
    raise error
