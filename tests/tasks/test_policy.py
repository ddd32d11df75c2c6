"""What a task may declare and a call may change, what of it is stored, and what is said of mistakes."""

import traceback
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from enum import Enum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from fastapi import Depends

from postlude.clock import LATEST, SECOND
from postlude.errors import TaskDefinitionError
from postlude.messages.quoting import quoted
from postlude.model.limits import DeclaredLimits, Limit, Rate
from postlude.model.overrides import Opts, read_opts
from postlude.model.retry import Exponential, Fixed, Linear, Retry
from postlude.model.terms import Conflict, Given, Terms
from postlude.tasks.policy import Policy
from postlude.tasks.registry import Registry
from postlude.tasks.task import MOST_VARIANTS, Task

NOW = 1_767_225_600 * SECOND
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON_STORED = round(NOON.timestamp()) * SECOND
ONE_CALL = "retry= of one call is stored with its job, and "


class Nowhere(tzinfo):
    """A timezone that has no offset."""

    def utcoffset(self, at: datetime | None) -> None:
        return None

    tzname = dst = utcoffset


class Colour(Enum):
    RED = "r"


def send(order: int, to: str = "ada", *, copies: int = 1) -> str:
    return f"{order} to {to}, {copies}"


@pytest.fixture
def registry() -> Registry:
    return Registry(packages=["tests"])


@pytest.fixture
def task(registry: Registry) -> Task[..., str]:
    return registry.task(send, name="send")


def options(**values: Any) -> Any:
    """Options whose types are not looked at."""
    return values


def terms(task: Task[..., Any], now: int = NOW) -> Terms:
    found = task.terms(now)
    assert found is not None
    return found


def opts(task: Task[..., Any], now: int = NOW) -> Opts:
    return read_opts(terms(task, now).given.opts)


WRONG_IN_BOTH: list[tuple[str, Any, str]] = [
    ("queue", "", "give a short printable text"),
    ("queue", "q" * 201, "give a short printable text"),
    ("queue", "a\nb", "give a short printable text"),
    ("queue", None, "give a short printable text"),
    ("queue", ["mail"], "give a short printable text"),
    ("retry", 3, "give Retry(...)"),
    ("retry", None, "give Retry(...)"),
    ("timeout", 0, "give seconds (more than 0) or a timedelta"),
    ("timeout", -1, "give seconds (more than 0) or a timedelta"),
    ("timeout", float("nan"), "give seconds (more than 0) or a timedelta"),
    ("timeout", float("inf"), "give seconds (more than 0) or a timedelta"),
    ("timeout", True, "give seconds (more than 0) or a timedelta"),
    ("timeout", "30", "give seconds (more than 0) or a timedelta"),
    ("timeout", timedelta(seconds=-1), "give seconds (more than 0) or a timedelta"),
    ("timeout", timedelta(0), "give seconds (more than 0) or a timedelta"),
    ("expires", 0, "give seconds (more than 0) or a timedelta"),
    ("expires", "soon", "give seconds (more than 0) or a timedelta"),
    ("expires", datetime(2026, 1, 1), "give a datetime with a timezone"),  # noqa: DTZ001
    ("deadline", 0, "give seconds (more than 0) or a timedelta"),
    ("deadline", [], "give seconds (more than 0) or a timedelta"),
    ("deadline", datetime(2026, 1, 1), "give a datetime with a timezone"),  # noqa: DTZ001
    ("priority", 1.5, "give a whole number; lower runs first"),
    ("priority", True, "give a whole number; lower runs first"),
    ("priority", 1_000_000_001, "give a whole number; lower runs first"),
    ("priority", -1_000_000_001, "give a whole number; lower runs first"),
    ("delivery", "once", "give 'at_least_once' or 'at_most_once'"),
    ("on_failure", "yes", "give True or False"),
]

WRONG_DECLARED: list[tuple[str, Any, str]] = [
    ("limit", 4, "give Limit(...)"),
    ("rate", Limit(4), "give Rate(...)"),
    ("run", "thread", "give 'process'"),
]

WRONG_OF_CALL: list[tuple[str, Any, str]] = [
    ("delay", -1, "give seconds (0 or more) or a timedelta"),
    ("delay", float("nan"), "give seconds (0 or more) or a timedelta"),
    ("delay", 1e10, "give seconds (0 or more) or a timedelta"),
    ("delay", timedelta(seconds=-1), "give seconds (0 or more) or a timedelta"),
    ("at", 5, "give a datetime"),
    ("at", date(2026, 1, 1), "give a datetime"),
    ("at", datetime(2026, 1, 1), "give a datetime with a timezone (datetime.now(UTC), say)"),  # noqa: DTZ001
    ("key", "", "give a text of 1 to 500 characters"),
    ("key", "k" * 501, "give a text of 1 to 500 characters"),
    ("key", 7, "give a text of 1 to 500 characters"),
    ("key", "\udcff", "holds a lone surrogate, which UTF-8 cannot write"),
    ("on_conflict", "ignore", "give 'keep' or 'replace' or 'raise'"),
]


class TestMistakes:
    """Each is a `TaskDefinitionError` of the line that made it, and says what would be right."""

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (lambda: Limit(0), r"^Limit\(concurrent=0\): give a whole number, 1 or more"),
            (lambda: Rate(0), r"^Rate\(count=0\): give a whole number, 1 or more"),
            (lambda: Retry(0), r"^Retry\(attempts=0\): give a whole number, 1 or more"),
            (lambda: Fixed(-1), r"^Fixed\(seconds=-1\): give seconds between"),
        ],
        ids=["limit", "rate", "retry", "backoff"],
    )
    def test_in_what_an_option_is_made_of(self, wrong: Callable[[], Any], said: str) -> None:
        with pytest.raises(TaskDefinitionError, match=said) as raised:
            wrong()
        assert isinstance(raised.value, ValueError)  # who has caught these as one goes on to

    @pytest.mark.parametrize(("name", "value", "remedy"), WRONG_IN_BOTH + WRONG_DECLARED)
    def test_in_a_declaration(self, registry: Registry, name: str, value: Any, remedy: str) -> None:
        with pytest.raises(TaskDefinitionError) as raised:
            registry.task(**{name: value})
        assert str(raised.value).startswith(f"{name}={quoted(value)}: {remedy}")

    @pytest.mark.parametrize(("name", "value", "remedy"), WRONG_IN_BOTH + WRONG_OF_CALL)
    def test_in_a_call(self, task: Task[..., str], name: str, value: Any, remedy: str) -> None:
        given: dict[str, Any] = {"key": "k", name: value}
        with pytest.raises(TaskDefinitionError) as raised:
            task.using(**given)
        assert str(raised.value).startswith(f"{name}={quoted(value)}: {remedy}")

    def test_the_line_that_made_it_is_the_last_one_outside(self, task: Task[..., str]) -> None:
        with pytest.raises(TaskDefinitionError) as raised:
            task.using(priority="high")  # type: ignore[arg-type]  # this line
        lines = [frame.line for frame in traceback.extract_tb(raised.tb) if frame.filename == __file__]
        assert "# this line" in str(lines[-1])

    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("dealy", "; did you mean delay=?"),
            ("timeouts", "; did you mean timeout=?"),
            ("zzzzzz", "; there are at, deadline, delay, delivery, expires, key, on_conflict, on_failure,"),
            ("limit", "; it belongs to @postlude.task(...)"),
            ("rate", "; it belongs to @postlude.task(...)"),
            ("run", "; it belongs to @postlude.task(...)"),
            ("name", "; it belongs to @postlude.task(...)"),
            ("aliases", "; it belongs to @postlude.task(...)"),
            ("set_by_call", "; there are at,"),
        ],
    )
    def test_an_option_that_no_call_has(self, task: Task[..., str], name: str, hint: str) -> None:
        with pytest.raises(TaskDefinitionError) as raised:
            task.using(**options(**{name: 1}))
        assert str(raised.value).startswith(f"{name}= is no option here{hint}")

    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("que", "; did you mean queue=?"),
            (
                "zzzzzz",
                "; there are aliases, deadline, delivery, expires, limit, name, on_failure, owner, priority,",
            ),
            ("delay", "; it belongs to task.using(...)"),
            ("at", "; it belongs to task.using(...)"),
            ("key", "; it belongs to task.using(...)"),
            ("on_conflict", "; it belongs to task.using(...)"),
        ],
    )
    def test_an_option_that_no_declaration_has(self, registry: Registry, name: str, hint: str) -> None:
        with pytest.raises(TaskDefinitionError) as raised:
            registry.task(send, **options(**{name: 1}))
        assert str(raised.value).startswith(f"{name}= is no option here{hint}")

    def test_two_starts(self, task: Task[..., str]) -> None:
        with pytest.raises(TaskDefinitionError, match=r"^delay= and at= both say when it starts; give one"):
            task.using(delay=5, at=NOON)

    def test_a_conflict_without_a_key(self, task: Task[..., str]) -> None:
        with pytest.raises(TaskDefinitionError, match=r"^on_conflict= .*: give key= too"):
            task.using(on_conflict="raise")
        assert task.using(key="k").using(on_conflict="raise").key == "k"

    def test_a_retry_of_one_call_that_cannot_be_stored(self, task: Task[..., str]) -> None:
        class Own(Exponential):
            """Nothing finds this class again."""

        for backoff in (lambda failures: 1.0, Own()):
            with pytest.raises(TaskDefinitionError, match="a function is not: give Exponential"):
                task.using(retry=Retry(backoff=backoff))
        for retry in (Retry(on=OSError), Retry(unless=(OSError,))):
            with pytest.raises(TaskDefinitionError, match="exception classes are not: declare on= and"):
                task.using(retry=retry)

    @pytest.mark.parametrize("aliases", ["old", None, 7])
    def test_aliases_that_are_no_list(self, registry: Registry, aliases: Any) -> None:
        with pytest.raises(TaskDefinitionError, match=r"^aliases=.*: give a list of names"):
            registry.task(send, aliases=aliases)

    @pytest.mark.parametrize("given", [{"name": ""}, {"name": 7}, {"aliases": [""]}, {"aliases": ["a\n"]}])
    def test_names_that_are_none(self, registry: Registry, given: dict[str, Any]) -> None:
        with pytest.raises(TaskDefinitionError, match=f"^{next(iter(given))}= must be a short printable"):
            registry.task(send, **given)

    def test_a_mistake_leaves_nothing_behind(self, registry: Registry, task: Task[..., str]) -> None:
        with pytest.raises(TaskDefinitionError):
            task.using(priority=1, timeout=-1)
        assert terms(task.using(priority=1)) == Terms(priority=1)

    def test_an_equal_value_of_another_type_is_looked_at_too(self, task: Task[..., str]) -> None:
        task.using(priority=1, timeout=1)
        with pytest.raises(TaskDefinitionError, match="priority=True"):
            task.using(priority=True, timeout=1)


class TestDeclared:
    def test_all_of_it_is_the_policy(self, registry: Registry) -> None:
        retry, limit, rate = Retry(attempts=8, on=OSError), Limit(4, per="to"), Rate(100, per=60)
        task = registry.task(
            send,
            queue="mail",
            retry=retry,
            timeout=timedelta(minutes=1),
            expires=30,
            deadline=timedelta(hours=1),
            priority=-2,
            delivery="at_most_once",
            on_failure=True,
            limit=limit,
            rate=rate,
        )
        assert task.policy == Policy(
            "mail", retry, 60.0, 30, 3600.0, -2, "at_most_once", True, limit, rate, set_by_call=frozenset()
        )
        assert (task.queue, task.once, task.on_failure, task.rated, task.timed, task.special) == (
            "mail",
            True,
            True,
            True,
            True,
            True,
        )

    def test_nothing_of_it_is_stored_but_the_priority(self, registry: Registry) -> None:
        """A corrected policy reaches the jobs that wait."""
        declared = registry.task(send, name="a", retry=Retry(2), timeout=5, expires=9, deadline=9, queue="q")
        assert declared.terms(NOW) is None
        assert terms(registry.task(send, name="b", priority=3)) == Terms(priority=3)

    def test_what_it_costs_depends_on_what_is_declared(self, registry: Registry) -> None:
        """A task without any of it takes the shortest way."""
        plain = registry.task(send, name="plain")
        assert (plain.special, plain.timed, plain.rated, plain.once) == (False,) * 4
        for number, bound in enumerate((options(limit=Limit(1)), options(rate=Rate(1)))):
            limited = registry.task(send, name=f"limited {number}", **bound)
            assert (limited.special, limited.rated) == (True, True)
        for name in ("timeout", "expires", "deadline"):
            timed: Task[..., str] = registry.task(send, name=name, **options(**{name: 5}))
            assert (timed.special, timed.timed) == (False, True)

    def test_bounds_are_told_under_each_name(self, registry: Registry) -> None:
        registry.task(send, name="new", aliases=["old"], limit=Limit(4), rate=Rate(10, per=5))
        assert registry.bounds == [
            DeclaredLimits("task", name, 4, SECOND // 2, 10) for name in ("new", "old")
        ]

    def test_a_job_must_start_and_end_in_time_since_it_was_added(self, registry: Registry) -> None:
        policy = registry.task(send, expires=30, deadline=60).policy
        assert policy.must_start_by(Opts(), NOW) == NOW + 30 * SECOND
        assert policy.must_end_by(Opts(), NOW) == NOW + 60 * SECOND
        assert policy.must_start_by(Opts(expires=7), NOW) == 7
        assert policy.must_end_by(Opts(deadline=8), NOW) == 8
        assert (Policy().must_start_by(Opts(), NOW), Policy().must_end_by(Opts(), NOW)) == (None, None)


class TestCopies:
    def test_a_direct_call_is_a_call_of_the_function(self, task: Task[..., str]) -> None:
        assert task.using(delay=5, key="k", queue="mail")(7, "bob", copies=2) == "7 to bob, 2"

    def test_the_task_is_as_it_was(self, task: Task[..., str]) -> None:
        copy = task.using(queue="mail", delivery="at_most_once", on_failure=True, priority=2, key="k")
        assert (task.queue, task.once, task.on_failure, task.special, task.key) == (
            "default",
            False,
            False,
            False,
            None,
        )
        assert (copy.queue, copy.once, copy.on_failure, copy.special, copy.key) == (
            "mail",
            True,
            True,
            True,
            "k",
        )
        assert (copy.base, copy.name, copy.function) == (task, "send", send)

    def test_a_registry_takes_a_copy_for_its_task(self, registry: Registry, task: Task[..., str]) -> None:
        copy = task.using(delay=5).using(key="k")
        assert registry.call(copy, (1,), {"to": "b"}) == (copy, (1,), {"to": "b"})
        assert copy.base is task

    def test_copies_of_copies_add_up(self, task: Task[..., str]) -> None:
        copy = task.using(queue="mail", delay=5, key="a").using(priority=3, timeout=9).using(key="b")
        assert (copy.queue, copy.key) == ("mail", "b")
        assert terms(copy) == Terms(NOW + 5 * SECOND, 3, key="b", given=Given(Opts(timeout=9).text()))
        assert opts(copy.using(queue="other")) == Opts(timeout=9)
        assert task.using(key="k").special, "or its key would not be stored"

    def test_the_last_word_counts(self, task: Task[..., str]) -> None:
        assert terms(task.using(delay=5).using(delay=6)).due == NOW + 6 * SECOND
        assert terms(task.using(delay=5).using(at=NOON)).due == NOON_STORED
        assert terms(task.using(at=NOON).using(delay=5)).due == NOW + 5 * SECOND

    @pytest.mark.parametrize(
        ("option", "value"),
        [("key", "k"), ("delay", 5), ("at", NOON), ("timeout", 5), ("expires", 5), ("deadline", 5)],
    )
    def test_none_lifts_and_what_is_left_out_stays(
        self, task: Task[..., str], option: str, value: Any
    ) -> None:
        given = task.using(**options(**{option: value}))
        assert terms(given.using(priority=0)) == terms(given) != terms(task.using(priority=0))
        lifted = given.using(**options(**{option: None}))
        told = lifted.terms(NOW)
        assert (lifted.key, lifted.policy.timeout, lifted.policy.expires) == (None, None, None)
        assert told is None or (told.key, told.due) == (None, None)

    def test_none_lifts_no_other_option(self, task: Task[..., str]) -> None:
        assert terms(task.using(delay=5).using(at=None)).due == NOW + 5 * SECOND
        assert terms(task.using(at=NOON).using(delay=None)).due == NOON_STORED
        assert terms(task.using(at=NOON, delay=None)).due == NOON_STORED
        assert task.using(key="k", delay=5).using(key=None).policy.delay == 5

    def test_a_key_that_may_be_none_with_a_conflict(self, task: Task[..., str]) -> None:
        for key in (None, "k"):
            assert task.using(key=key, on_conflict="raise").key == key

    def test_calls_that_give_the_same_share_what_was_worked_out(self, task: Task[..., str]) -> None:
        one = task.using(queue="mail", delay=5, key="a")
        two = task.using(queue="mail", delay=5, key="b")
        assert one.policy is two.policy
        assert (one.key, two.key) == ("a", "b")
        assert task.using(queue="mail", delay=6).policy.delay == 6
        assert task.using(queue="mail", delay=5).key is None

    def test_only_so_many_are_remembered(self, task: Task[..., str]) -> None:
        for number in range(MOST_VARIANTS + 5):
            assert task.using(priority=number).policy.priority == number
        assert len(task.__dict__["_variants"]) == MOST_VARIANTS
        assert task.using(priority=0).policy is task.using(priority=0).policy

    def test_moments_push_no_other_options_out(self, task: Task[..., str]) -> None:
        for minute in range(MOST_VARIANTS):
            task.using(at=NOON + timedelta(minutes=minute))
        assert task.using(priority=1).policy is task.using(priority=1).policy

    def test_the_hour_that_comes_twice(self, task: Task[..., str]) -> None:
        """Both are equal for Python, and an hour apart."""
        first = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
        dues = [terms(task.using(at=at)).due for at in (first, first.replace(fold=1))]
        assert dues[0] is not None
        assert dues[1] == dues[0] + 3600 * SECOND

    def test_what_cannot_be_hashed_is_no_hindrance(self, task: Task[..., str]) -> None:
        class Unhashable(datetime):
            __hash__ = None  # type: ignore[assignment]

        assert terms(task.using(at=Unhashable(2026, 1, 1, 12, tzinfo=UTC))).due == NOON_STORED


class TestStored:
    """What the job of a call keeps; `None` and what the task declares are not kept."""

    def test_a_delay_is_from_the_call_on(self, task: Task[..., str]) -> None:
        for delay in (1.5, timedelta(seconds=1.5)):
            copy = task.using(delay=delay)
            assert terms(copy).due == NOW + 1_500_000
            assert terms(copy, NOW + 1).due == NOW + 1_500_001

    def test_no_delay_is_one(self, task: Task[..., str]) -> None:
        assert terms(task.using(delay=0)).due == NOW

    @pytest.mark.parametrize("hours", [-12, -1, 0, 1])
    def test_a_moment_after_the_last_date_is_the_last(self, task: Task[..., str], hours: int) -> None:
        """`datetime.max` west of Greenwich, meant as "never"."""
        at = datetime.max.replace(tzinfo=timezone(timedelta(hours=hours)))
        due = terms(task.using(at=at)).due
        assert due is not None
        assert LATEST - 3_600 * SECOND <= due <= LATEST
        opts = read_opts(terms(task.using(expires=at, deadline=at)).given.opts)
        assert (opts.expires, opts.deadline) == (due, due)

    def test_a_timezone_that_says_nothing_is_none(self, task: Task[..., str]) -> None:
        with pytest.raises(TaskDefinitionError, match="give a datetime with a timezone"):
            task.using(at=NOON.replace(tzinfo=Nowhere()))

    def test_a_moment_is_where_it_is_on_earth(self, task: Task[..., str]) -> None:
        tokyo = NOON.astimezone(ZoneInfo("Asia/Tokyo"))
        for at in (NOON, tokyo):
            assert terms(task.using(at=at)).due == terms(task.using(at=at), NOW + 1).due == NOON_STORED

    @pytest.mark.parametrize("name", ["expires", "deadline"])
    def test_bounds_are_from_the_call_on_or_a_moment(self, task: Task[..., str], name: str) -> None:
        for bound in (2, timedelta(seconds=2)):
            copy = task.using(**options(**{name: bound}))
            for now in (NOW, NOW + 5):
                assert terms(copy, now).given.opts == Opts(**options(**{name: now + 2 * SECOND})).text()
        copy = task.using(**options(**{name: NOON}))
        assert terms(copy).given.opts == Opts(**options(**{name: NOON_STORED})).text()

    def test_each_option_alone(self, task: Task[..., str]) -> None:
        assert terms(task.using(timeout=timedelta(minutes=1))).given.opts == '{"t":60.0}'
        assert terms(task.using(priority=-3)) == Terms(priority=-3)
        assert terms(task.using(queue="mail")).given.opts is None
        assert terms(task.using(key="k")) == Terms(key="k")
        assert terms(task.using(key="k", on_conflict="replace")).conflict is Conflict.REPLACE
        assert terms(task.using(key="k", on_conflict="raise")).conflict is Conflict.RAISE

    @pytest.mark.parametrize("backoff", [Exponential(2, 9, False), Linear(1, 2, 3), Fixed(4)])
    def test_attempts_and_waits(self, task: Task[..., str], backoff: Exponential | Linear | Fixed) -> None:
        assert opts(task.using(retry=Retry(3, backoff))) == Opts(attempts=3, backoff=backoff)

    def test_a_declared_priority_is_kept_beside_what_the_call_sets(self, registry: Registry) -> None:
        task = registry.task(send, priority=7, timeout=30)
        assert terms(task.using(timeout=5)).priority == 7
        assert terms(task.using(key="k")).priority == 7
        assert terms(task.using(priority=1)).priority == 1
        assert opts(task.using(priority=1)) == Opts()

    def test_what_is_declared_of_retries_holds_for_calls_too(self, registry: Registry) -> None:
        """Also for the first attempt, which the copy itself may run."""
        declared = Retry(9, Fixed(1), on=(OSError,), unless=(FileNotFoundError,))
        policy = registry.task(send, retry=declared).using(retry=Retry(2)).policy
        assert policy.retry == Retry(2, on=(OSError,), unless=(FileNotFoundError,))

    def test_none_lifts_what_is_declared(self, registry: Registry) -> None:
        """The job that comes back from the journal is run as the copy would run it."""
        task = registry.task(send, timeout=30, expires=60, deadline=90)
        copy = task.using(timeout=None, expires=None, deadline=None)
        for policy in (task.policy, copy.policy):
            assert policy.attempt_within(opts(copy)) is None
            assert policy.must_start_by(opts(copy), NOW) is None
            assert policy.must_end_by(opts(copy), NOW) is None
        assert task.policy.attempt_within(Opts()) == 30
        assert task.policy.attempt_within(Opts(timeout=3)) == 3


def per_one(
    tenant: str | None = None,
    number: float = 1,
    id: UUID = UUID(int=1),
    colour: Colour = Colour.RED,
    day: date = date(2026, 1, 1),
    names: list[str] = ["a"],  # noqa: B006
    *args: int,
    other: int = 0,
    **kwargs: int,
) -> None: ...


class TestLanes:
    def concurrency_key(self, registry: Registry, per: str | None, *args: Any, **kwargs: Any) -> str | None:
        task = registry.task(per_one, name=f"per {per}", limit=Limit(1, per=per))
        concurrency_key = task.concurrency_key(task.encode(args, kwargs))
        assert task.using(priority=1).concurrency_key(task.encode(args, kwargs)) == concurrency_key
        return concurrency_key

    def test_a_task_without_a_limit_has_none(self, registry: Registry) -> None:
        task = registry.task(per_one, rate=Rate(5))
        assert task.concurrency_key(task.encode((), {})) is None

    def test_a_limit_for_all_is_one_lane(self, registry: Registry) -> None:
        assert self.concurrency_key(registry, None, "acme") == ""
        assert self.concurrency_key(registry, None, "other", 5) == ""

    def test_each_value_has_its_own(self, registry: Registry) -> None:
        assert self.concurrency_key(registry, "tenant", "acme") == "acme"
        assert self.concurrency_key(registry, "tenant", tenant="other") == "other"
        assert self.concurrency_key(registry, "tenant", "acme", UUID(int=2).int, UUID(int=2)) == "acme"
        assert self.concurrency_key(registry, "other", other=7) == "7"

    @pytest.mark.parametrize("name", ["tenant", "number", "id", "colour", "day", "names", "other"])
    def test_the_default_left_out_is_the_default_given(self, registry: Registry, name: str) -> None:
        defaults: dict[str, Any] = {
            "tenant": None,
            "number": 1,
            "id": UUID(int=1),
            "colour": Colour.RED,
            "day": date(2026, 1, 1),
            "names": ["a"],
            "other": 0,
        }
        assert self.concurrency_key(registry, name) == self.concurrency_key(
            registry, name, **{name: defaults[name]}
        )

    def test_a_default_that_cannot_be_kept_stands_for_itself(self, registry: Registry) -> None:
        nothing = object()

        def search(words: Any = nothing) -> None: ...

        task = registry.task(search, name="search", limit=Limit(1, per="words"))
        assert task.concurrency_key(task.encode((), {})) == repr(repr(nothing)).replace("'", '"')

    def test_values_of_other_types_are_told_apart(self, registry: Registry) -> None:
        assert self.concurrency_key(registry, "id", id=UUID(int=255)) == str(UUID(int=255))
        assert self.concurrency_key(registry, "names", names=["a", "b"]) == '["a", "b"]'
        assert self.concurrency_key(registry, "number", number=2.5) == "2.5"

    def test_the_order_of_keys_does_not_matter(self, registry: Registry) -> None:
        def count(words: dict[str, int]) -> None: ...

        task = registry.task(count, name="count", limit=Limit(1, per="words"))
        concurrency_keys = {
            task.concurrency_key(task.encode((words,), {})) for words in ({"a": 1, "b": 2}, {"b": 2, "a": 1})
        }
        assert concurrency_keys == {'{"a": 1, "b": 2}'}

    def test_long_values_are_hashed(self, registry: Registry) -> None:
        assert self.concurrency_key(registry, "tenant", "x" * 100) == "x" * 100
        long = self.concurrency_key(registry, "tenant", "x" * 101)
        assert long is not None
        assert long.startswith("sha256:")
        assert len(long) == 71
        assert long != self.concurrency_key(registry, "tenant", "x" * 101 + "y")

    @pytest.mark.parametrize("per", ["tenent", "args", "kwargs", ""])
    def test_it_is_an_argument_of_the_task(self, registry: Registry, per: str) -> None:
        with pytest.raises(TaskDefinitionError) as raised:
            registry.task(per_one, name="send", limit=Limit(1, per=per))
        assert str(raised.value).startswith(
            f"send: Limit(per={per!r}) names no argument of the task; it has "
        )
        assert "tenant, number, id" in str(raised.value)

    def test_it_is_nothing_that_is_passed_by_place_only(self, registry: Registry) -> None:
        def plain(tenant: str, /) -> None: ...

        def bare() -> None: ...

        with pytest.raises(TaskDefinitionError, match="it has tenant"):
            registry.task(plain, name="plain", limit=Limit(1, per="tenant"))
        with pytest.raises(TaskDefinitionError, match="it has none"):
            registry.task(bare, name="bare", limit=Limit(1, per="tenant"))

    def test_it_is_nothing_that_depends_fills(self, registry: Registry) -> None:
        """Calls do not pass it, so all of them would count together."""

        def settle(order: int, session: int = Depends(lambda: 1)) -> None: ...

        with pytest.raises(TaskDefinitionError, match="names what Depends fills when a job runs"):
            registry.task(settle, name="settle", limit=Limit(1, per="session"))
        assert registry.task(settle, name="settle", limit=Limit(1, per="order")).rated
