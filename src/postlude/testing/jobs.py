"""What a test holds in its hands: the fixture `postlude_jobs`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Final

from postlude.app.components import Components
from postlude.app.postlude import Postlude
from postlude.errors import NotDurable, PostludeError, UnknownTask
from postlude.model.job import JobFilter, JobRecord
from postlude.model.state import State
from postlude.testing.kit import Kit
from postlude.testing.matching import HINT, WantedCall
from postlude.testing.records import AddedJob, Drained, drained, standing
from postlude.testing.rounds import Raised, from_sync

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ALL: Final = 1 << 31
_WAITING: Final = frozenset({State.QUEUED, State.RUNNING, State.PARKED})


class PostludeJobs:
    """The jobs that an application has added in a test: held, until the test runs them.

    The fixture `postlude_jobs` is one; elsewhere (in a `unittest.TestCase`, say) use it as a context
    manager. Every Postlude of the process then has a journal in memory and a clock of its own, and is
    as it was before when the test ends.

    Args:
        now: what the clock says at first; None: the time that it is.
    """

    def __init__(self, now: datetime | None = None) -> None:
        if now is not None and now.tzinfo is None:
            raise ValueError("now= needs a timezone: datetime(2026, 3, 1, tzinfo=UTC)")
        self._kit = Kit(None if now is None else (now - _EPOCH) // timedelta(microseconds=1))
        self._only: Postlude | None = None
        self._holding = ExitStack()

    def __enter__(self) -> "PostludeJobs":
        self._holding.enter_context(self._kit.holding())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._holding.close()

    def of(self, postlude: Postlude) -> "PostludeJobs":
        """Return the same for the jobs of one Postlude only; the clock stays that of all.

        Raises:
            PostludeError: its jobs are not held.
        """
        if postlude not in self._kit.postludes:
            why = "it is off (POSTLUDE_STORE=off)" if postlude.off else "it belongs to no test that runs"
            raise PostludeError(f"the jobs of this Postlude are not held: {why}")
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__, _only=postlude)
        return view

    @property
    def now(self) -> datetime:
        """What the clock says."""
        return _EPOCH + timedelta(microseconds=self._kit.clock.now())

    # Looking

    def added(self, task: Callable[..., Any] | str | None = None) -> list[AddedJob]:
        """Return the jobs that have been added, oldest first: of one task, or all.

        Args:
            task: a task, a function, or the name of one (`module:function`, or `function` alone).
        """
        if task is not None:
            return self._matching(task, (), {})
        return [AddedJob.of(record, components) for components, record in self._records()]

    def count(self, task: Callable[..., Any] | str | None = None, /, *args: Any, **kwargs: Any) -> int:
        """Return how many calls have been added: of this task, with these arguments; see `assert_added`."""
        return len(self.added() if task is None else self._matching(task, args, kwargs))

    def assert_added(self, task: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> AddedJob:
        """Return the job of a call, the newest of several.

        Args:
            task: a task, a function, or the name of one (`module:function`, or `function` alone). What
                a copy made by `using` has set must be so as well.
            args: the call's arguments, by position or by name, as they are stored; those left out
                have their defaults. `...`, `mock.ANY` and objects that are equal to what is meant
                stand for more than one value. Without any arguments every call of the task is meant.
            kwargs: likewise.

        Raises:
            AssertionError: there is none; the text tells which there are.
            NotDurable: there cannot be one, because the function has no durable form.
            TypeError: the function cannot be called so.
        """
        __tracebackhide__ = True
        found = self._matching(task, args, kwargs)
        if not found:
            raise AssertionError(self._missing(task, args, kwargs))
        return found[-1]

    def assert_not_added(self, task: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> None:
        """Make sure that there is no job of a call; see `assert_added`."""
        __tracebackhide__ = True
        found = self._matching(task, args, kwargs)
        if found:
            raise AssertionError("was added, and should not have been:\n" + _lines(found))

    @property
    def waiting(self) -> list[AddedJob]:
        """The jobs that have not ended: due or not, or parked."""
        return [job for job in self.added() if job.state in _WAITING]

    def clear(self) -> None:
        """Forget all jobs. The clock goes on."""
        self._kit.clear(self._postludes)

    # Running

    def drain(self, *, raise_errors: bool = False) -> Drained:
        """Run the jobs that are due, and those that they add, until none is.

        They run as ever: claimed from the journal, on the lifespan's event loop if there is one, with
        arguments that were read from what was stored. A retry that is due later stays.

        Args:
            raise_errors: raise what they raised, once nothing is due any more; several errors as a group.

        Raises:
            RuntimeError: called on an event loop, which it would block.
        """
        return self._from_sync(self.drain_async, "drain", raise_errors)

    async def drain_async(self, *, raise_errors: bool = False) -> Drained:
        """Do what `drain` does, in an async test."""
        before = self._standing()
        await self._kit.drain(self._postludes)
        return self._outcome(before, raise_errors)

    def advance(
        self,
        *,
        seconds: float = 0,
        minutes: float = 0,
        hours: float = 0,
        days: float = 0,
        schedules: bool = True,
        raise_errors: bool = False,
    ) -> Drained:
        """Run what is due, then move the clock and run what becomes due, each job at its own time.

        Schedules become jobs by this alone, at the due times that the clock comes past.

        Args:
            seconds, minutes, hours, days: by how much, together.
            schedules: whether they do.
            raise_errors: as in `drain`.

        Raises:
            RuntimeError: called on an event loop, which it would block.
        """
        call = partial(
            self.advance_async,
            seconds=seconds, minutes=minutes, hours=hours, days=days, schedules=schedules,
        )  # fmt: skip
        return self._from_sync(call, "advance", raise_errors)

    async def advance_async(
        self,
        *,
        seconds: float = 0,
        minutes: float = 0,
        hours: float = 0,
        days: float = 0,
        schedules: bool = True,
        raise_errors: bool = False,
    ) -> Drained:
        """Do what `advance` does, in an async test."""
        step = timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
        before = self._standing()
        await self._kit.advance(self._postludes, step.total_seconds(), schedules)
        return self._outcome(before, raise_errors)

    # Steps

    @property
    def _postludes(self) -> Sequence[Postlude]:
        return self._kit.postludes if self._only is None else [self._only]

    def _from_sync(self, call: Callable[..., Any], name: str, raise_errors: bool) -> Drained:
        made = partial(call, raise_errors=raise_errors)
        result: Drained = from_sync(self._kit.loops(self._postludes), made, name)
        return result

    def _records(self) -> Iterator[tuple[Components, JobRecord]]:
        for postlude in self._postludes:
            components = postlude.components
            # A memory journal answers at once, also on an event loop.
            for record in reversed(components.store.page(JobFilter(limit=_ALL)).result()):
                yield components, components.store.get(record.id).result() or record

    def _standing(self) -> dict[bytes, tuple[State, int]]:
        return standing(record for _, record in self._records())

    def _outcome(self, before: dict[bytes, tuple[State, int]], raise_errors: bool) -> Drained:
        raised, self._kit.raised[:] = list(self._kit.raised), []
        if raise_errors and raised:
            raise _error_of(raised)
        return drained(before, self._standing())

    def _wanted(self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[Postlude, WantedCall]:
        """Return the call in the eyes of each Postlude that knows its task."""
        wanted: dict[Postlude, WantedCall] = {}
        unknown: list[PostludeError] = []
        for postlude in self._postludes:
            try:
                wanted[postlude] = WantedCall(postlude.components.registry, task, args, kwargs)
            except (NotDurable, UnknownTask) as error:
                unknown.append(error)
        if unknown and not wanted:  # whichever comes last may be of tasks that have nothing to do with it
            raise next((error for error in unknown if HINT in str(error)), unknown[-1])
        return wanted

    def _matching(self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[AddedJob]:
        calls = {postlude.components: call for postlude, call in self._wanted(task, args, kwargs).items()}
        return [
            AddedJob.of(record, components)
            for components, record in self._records()
            if components in calls and calls[components].differences(record) == []
        ]

    def _missing(self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        calls = {postlude.components: call for postlude, call in self._wanted(task, args, kwargs).items()}
        if not calls:
            return "there is no Postlude in this process, or all are off: nothing can be added"
        near: list[str] = []
        others: list[AddedJob] = []
        for components, record in self._records():
            differences = calls[components].differences(record) if components in calls else None
            job = AddedJob.of(record, components)
            if differences is None:
                others.append(job)
            else:
                near += [f"  {job}", *(f"      {difference}" for difference in differences)]
        text = f"{next(iter(calls.values()))} was not added."
        if near:
            text += "\nOf this task there is:\n" + "\n".join(near)
        if others:
            text += "\nOf other tasks:\n" + _lines(others)
        if not near and not others:
            text += "\nNothing was."
        in_memory = sum(components.producer.memory.calls for components in calls)
        if in_memory:
            text += f"\nCalls without a durable form, which ran in memory: {in_memory} (see the warnings)."
        return text


def _lines(jobs: Sequence[AddedJob]) -> str:
    return "\n".join(f"  {job}" for job in jobs)


def _error_of(raised: Sequence[Raised]) -> BaseException:
    for job, attempt, error in raised:
        error.add_note(f"raised by the job {job}, attempt {attempt}")
    if len(raised) == 1:
        return raised[0].error
    return BaseExceptionGroup("jobs failed", [one.error for one in raised])
