"""A task: a function with a name and a policy. Still a function: calling it runs it here and now."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Generic, ParamSpec, TypeVar, Unpack

from postlude.errors import InvalidArguments, NotDurable, TaskDefinitionError
from postlude.messages.spelling import tells_what_to_write
from postlude.model.terms import PLAIN, Terms
from postlude.tasks.call import Call
from postlude.tasks.codec.codec import Codec
from postlude.tasks.codec.payload import Limits, Payload
from postlude.tasks.codec.results import Results
from postlude.tasks.concurrency_key import concurrency_key_of
from postlude.tasks.context import Carried
from postlude.tasks.fingerprint import fingerprint
from postlude.tasks.inject.dependencies import refusal_of
from postlude.tasks.inject.filling import Fill, in_background
from postlude.tasks.options import CallOptions, check_key
from postlude.tasks.policy import Policy
from postlude.tasks.signature import injected_parameters, refuse_unfilled
from postlude.tasks.wrapping import function_like, gives_awaitable

P = ParamSpec("P")
R = TypeVar("R")

MOST_VARIANTS: Final = 64
"""Copies with other options that a task remembers, so that the next call which gives the same is quick."""


@tells_what_to_write("task")
class Task(Generic[P, R]):
    """A function with a name and a policy. Frozen.

    Attributes:
        name: what the journal knows it by.
        function: the function itself.
        policy: how its jobs are run.
        plain: a plain function with the default policy, not declared as a task.
        key: no other job of the task with this key waits, is parked or runs.
        base: the task that this one is a copy of, with other options; None if it is none.
        queue: the queue that its jobs wait under.
        on_failure: its jobs are stored also if the request that added them fails.
        once: delivery at most once.
        rated: it has a limit or a rate.
        owned: its policy says whose its jobs are, also if that is nobody.
        timed: its policy bounds its attempts in time.
        special: its policy decides more of a job than its queue.
        is_async: whether calling the function gives an awaitable.
        carried: the context variables that travel with its jobs.
        injected: the parameters that FastAPI's `Depends` fills when it runs; they are not stored.
    """

    name: str
    function: Callable[P, R]
    policy: Policy
    plain: bool
    key: str | None
    base: "Task[P, R] | None"
    queue: str
    on_failure: bool
    once: bool
    rated: bool
    owned: bool
    timed: bool
    special: bool
    is_async: bool
    carried: Carried
    injected: frozenset[str]

    def __init__(
        self,
        function: Callable[P, R],
        name: str,
        limits: Limits,
        policy: Policy,
        *,
        plain: bool = False,
        carried: Carried | None = None,
        fill: Fill | None = None,
    ) -> None:
        is_async, injected = gives_awaitable(function), _injected(function)
        carried = Carried() if carried is None else carried
        self.__dict__.update(function_like(function, is_async or bool(fill and injected)))
        self.__dict__.update(
            name=name, function=function, plain=plain, is_async=is_async, base=None, key=None
        )
        self.__dict__.update(_limits=limits, _codec=None, _fill=fill, injected=injected, carried=carried)
        self._take_policy(policy)

    def _take_policy(self, policy: Policy) -> None:
        limited = policy.limit is not None or policy.rate is not None
        self.__dict__.update(policy=policy, queue=policy.queue, on_failure=policy.on_failure, rated=limited)
        self.__dict__["once"] = policy.delivery == "at_most_once"
        self.__dict__["timed"] = any((policy.timeout, policy.expires, policy.deadline))
        self.__dict__["owned"] = owned = policy.owner is not None or "owner" in policy.set_by_call
        self.__dict__["special"] = limited or owned or bool(policy.set_by_call or policy.priority)
        self.__dict__.update(_terms=None if policy.moves else policy.terms(0), _variants={})

    def using(self, **options: Unpack[CallOptions]) -> "Task[P, R]":
        """Return a copy with other options, for one call or for many.

        What it sets is stored with the jobs; everything else is as the code says that runs them. An option
        that is left out stays as it is; None lifts `key`, `delay`, `at`, `timeout`, `expires`, `deadline`.

        Raises:
            TaskDefinitionError: an option is unknown, not what it should be, or contradicts another.
        """
        given: dict[str, Any] = dict(options)
        key = given.pop("key", self.key)
        if "key" in options:
            check_key(key)
        elif "on_conflict" in options and key is None:
            raise TaskDefinitionError("on_conflict= says what happens to a key that is taken: give key= too")
        variant = self._variant(given) if given else self
        copy: Task[P, R] = object.__new__(type(self))
        copy.__dict__.update(variant.__dict__)
        copy.__dict__.update(base=self.base or self, key=key, special=True)
        return copy

    def _variant(self, options: dict[str, Any]) -> "Task[P, R]":
        """Return a copy with these options; the same for each call that gives the same, but for its key."""
        variants: dict[Any, Task[P, R]] = self.__dict__["_variants"]
        # With their types: True equals 1, and is no priority. Moments are rarely the same again.
        made_of = tuple((name, type(value), value) for name, value in options.items())
        fleeting = any(kind is datetime for _, kind, _ in made_of)
        try:
            known = None if fleeting else variants.get(made_of)
        except TypeError:  # one of them cannot be hashed
            known, fleeting = None, True
        if known is not None:
            return known
        variant: Task[P, R] = object.__new__(type(self))
        variant.__dict__.update(self.__dict__)
        variant._take_policy(self.policy.with_options(options, CallOptions, of_call=True))
        if not fleeting and len(variants) < MOST_VARIANTS:
            variants[made_of] = variant
        return variant

    def terms(self, now: int) -> Terms | None:
        """Return what the job of a call made now is stored with; None: all of it is as by default."""
        terms: Terms | None = self.__dict__["_terms"] or self.policy.terms(now)
        return terms if self.key is None else (terms or PLAIN).keyed(self.key)

    def concurrency_key(self, encoded: Payload) -> str | None:
        """Return which jobs of the task count together for its limit; None: it has none.

        Args:
            encoded: the call's arguments.
        """
        limit = self.policy.limit
        if limit is None:
            return None
        if limit.per is None:
            return ""
        return concurrency_key_of(encoded, limit.per, self.codec.default_of)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here and now.

        Raises:
            TypeError: it leaves out what `Depends` fills; that is filled in jobs, and in background tasks
                that run in memory, only.
        """
        if self.injected:
            fill: Any = self.__dict__["_fill"]
            if fill is not None and in_background():
                waiters: R = fill(self, args, kwargs)  # also of a sync function: it is marked so
                return waiters
            refuse_unfilled(self.name, self.function, self.injected, args, kwargs)
        return self.function(*args, **kwargs)

    def call(self, /, *args: P.args, **kwargs: P.kwargs) -> Call:
        """Return this call, to be added with many others by `add_tasks`."""
        return Call(self, args, kwargs)

    def check_dependencies(self, *, late: bool = False) -> None:
        """Make sure that a task can have what `Depends` fills in.

        Args:
            late: also those annotations count that could not be resolved so far.

        Raises:
            TaskDefinitionError: a dependency asks for what only an HTTP request has; or the task runs
                in another process.
        """
        refusal = refusal_of(self.function)
        if refusal is not None and (late or not refusal.unresolved):
            raise TaskDefinitionError(f"{self.name}: {refusal}")
        self.__dict__["injected"] = _injected(self.function) if late else self.injected
        self._refuse_process(self.injected)

    def _refuse_process(self, injected: frozenset[str]) -> None:
        if injected and self.policy.run == "process":
            raise TaskDefinitionError(
                f'{self.name}: parameter {min(injected)!r} is filled by Depends, and run="process" has no '
                f"application to fill it from; get the object inside the function, or leave out run="
            )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a task is frozen: {name[:80]!r} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a task is frozen: {name[:80]!r} cannot be deleted")

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    def __reduce__(self) -> str:
        raise TypeError(f"a task is not pickled: import {self.name} where it is needed")

    def __copy__(self) -> "Task[P, R]":
        return self

    def __deepcopy__(self, memo: object) -> "Task[P, R]":
        return self

    @property
    def codec(self) -> Codec:
        """How its arguments are kept; raises what `encode` raises of the function itself."""
        known: Codec | None = self.__dict__["_codec"]
        return known or self._compile()

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Payload:
        """Return a call's arguments in the form that the journal keeps.

        Raises:
            TypeError: the function cannot be called with these arguments.
            NotDurable: one of them has no durable form; the message names it and the remedy.
        """
        return self._compile().encode(args, kwargs)

    def decode(self, payload: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments that a payload stands for, new values on each call.

        Raises:
            InvalidArguments: they do not fit the function's parameters, or it is no payload.
        """
        try:
            codec = self.codec
        except (NotDurable, TaskDefinitionError) as error:
            raise InvalidArguments(str(error)) from None
        return codec.decode(payload)

    def encode_result(self, value: Any) -> tuple[bytes | None, bool]:
        """Return what the function has returned as JSON, or None and whether that is a loss.

        It is dropped (True) if it is too large, or would not come back equal by the function's return
        annotation; a declared task says so once. What a plain function without one returns may be of
        no interest to anybody, and is left out quietly (False).
        """
        return self._results().encode(value)

    def decode_result(self, data: bytes | None) -> Any:
        """Return what the function has returned.

        Raises:
            InvalidResult: it does not fit the function's return annotation.
        """
        return None if data is None else self._results().decode(data)

    def _results(self) -> Results:
        origin = self.base or self
        results: Results | None = origin.__dict__.get("_results_codec")
        if results is None:
            results = Results(
                self.name, self.function, self.__dict__["_limits"], is_async=self.is_async, plain=self.plain
            )
            origin.__dict__["_results_codec"] = results
        return results

    @property
    def release(self) -> str:
        """A fingerprint of what decides which arguments fit: parameters, annotations, their fields."""
        known: str | None = self.__dict__.get("_release")
        if known is None:
            known = self.__dict__["_release"] = fingerprint(self.function)
        return known

    def _compile(self) -> Codec:
        if self.base is not None:
            codec = self.base.codec
            self.__dict__.update(_codec=codec, injected=codec.injected, encode=codec.encode)
            return codec
        try:
            codec = Codec(self.name, self.function, self.__dict__["_limits"])
        except NotDurable as error:
            raise error if self.plain else TaskDefinitionError(str(error)) from None
        except ValueError as error:
            told = f"{self.name}: its parameters cannot be read ({error}); write a def around it"
            raise NotDurable(told) from None
        self._refuse_process(codec.injected)
        # From now on it is the codec's `encode` that is called.
        self.__dict__.update(_codec=codec, injected=codec.injected, encode=codec.encode)
        return codec


def _injected(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(parameter.name for parameter in injected_parameters(function))
