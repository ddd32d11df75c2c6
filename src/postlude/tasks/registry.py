"""The tasks of one application: declared ones, and plain functions as they are met."""

import functools
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar, Unpack, overload

from postlude.errors import NotDurable, TaskDefinitionError, UnknownTask
from postlude.messages.quoting import quoted
from postlude.model.limits import DeclaredLimits, bounds_of
from postlude.model.retry import ONCE
from postlude.tasks.codec.payload import Limits
from postlude.tasks.concurrency_key import refuse_unknown
from postlude.tasks.context import Carried
from postlude.tasks.declared import Names, declared_name, is_declared, same_definition
from postlude.tasks.inject.filling import Fill
from postlude.tasks.names import describe, find, load, name_of, refuse_generator, refuse_nameless
from postlude.tasks.options import Delivery, TaskOptions
from postlude.tasks.packages import Packages
from postlude.tasks.policy import Policy
from postlude.tasks.process import why_not_in_process
from postlude.tasks.signature import read_signature
from postlude.tasks.task import Task

P = ParamSpec("P")
R = TypeVar("R")

_DEEPEST: Final = 180
"""The JSON parser refuses documents of more than 200 levels."""


class Registry:
    """Which functions are tasks, by name and by function.

    Args:
        packages: top-level packages that are the application's own wherever they lie.
        root: the directory that holds the application's top package or module.
        strict: only declared tasks are tasks; no plain function is, and no name is looked up.
        max_payload: bytes that a job's arguments may need.
        max_depth: how many containers may be inside one another (180 at most).
        max_result: bytes that what a job returns may need.
        delivery: how often a job may run when its process dies.
        carried: the context variables that travel with jobs.
    """

    def __init__(
        self,
        *,
        packages: Iterable[str] = (),
        root: Path | None = None,
        strict: bool = False,
        max_payload: int = 1024 * 1024,
        max_depth: int = 100,
        max_result: int = 256 * 1024,
        delivery: Delivery = "at_least_once",
        carried: Carried | None = None,
    ) -> None:
        if not 0 < max_depth <= _DEEPEST:
            raise ValueError(f"max_depth must be between 1 and {_DEEPEST}, not {max_depth}")
        self.packages = Packages(packages, root)
        """Which modules are the application's own."""
        self._strict = strict
        self.limits = Limits(max_payload, max_depth, max_result)
        """What arguments and results may not exceed."""
        self._carried = Carried() if carried is None else carried
        self._policy = Policy(delivery=delivery)
        self._plain = Policy(retry=ONCE, delivery=delivery)
        self._declared: dict[str, Task[..., Any]] = {}
        self._by_name: dict[str, Task[..., Any]] = {}
        self.by_function: dict[Any, Task[..., Any]] = {}
        """The tasks of the functions that have been met so far."""
        self.fill: Fill | None = None
        """Where Postlude is off: calls a task with what its dependencies give."""
        self.bounded_so_far = 0
        """How often a task with a limit or a rate has been declared: when it grows, the journal must hear."""

    @overload
    def task(self, function: Callable[P, R], **options: Unpack[TaskOptions]) -> Task[P, R]: ...

    @overload
    def task(
        self, function: None = ..., **options: Unpack[TaskOptions]
    ) -> Callable[[Callable[P, R]], Task[P, R]]: ...

    def task(
        self, function: Callable[P, R] | None = None, **options: Unpack[TaskOptions]
    ) -> Task[P, R] | Callable[[Callable[P, R]], Task[P, R]]:
        """Declare a task: as a decorator, or by calling it with a function of a library.

        Args:
            function: the function; None when used as `@task(...)`.
            options: see `postlude.tasks.policy.TaskOptions`.

        Raises:
            TaskDefinitionError: the function cannot be a task so, or another has its name.
        """
        given: dict[str, Any] = dict(options)
        names = Names(given.pop("name", None), given.pop("aliases", ()))
        policy = self._policy.with_options(given, TaskOptions, of_call=False)
        if function is None:
            return lambda f: self._declare(f, names, policy)
        return self._declare(function, names, policy)

    def call(
        self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Task[..., Any], tuple[Any, ...], dict[str, Any]]:
        """Return the task that a call is of, and its arguments; `functools.partial` is taken apart.

        Raises:
            NotDurable: the function could not be found again by another process.
        """
        try:
            task = self.by_function.get(function)
        except TypeError:  # an object that cannot be hashed
            task = None
        if task is not None:
            return task, args, kwargs
        if isinstance(function, Task) and function.base is not None and function.base in self.by_function:
            return function, args, kwargs
        if isinstance(function, functools.partial):
            return self.call(function.func, function.args + args, {**function.keywords, **kwargs})
        return self._meet(function), args, kwargs

    def of(self, function: Any) -> Task[..., Any]:
        """Return the task of a function that is not a `functools.partial`.

        Raises:
            NotDurable: it could not be found again by another process.
        """
        return self.call(function, (), {})[0]

    def declares(self, function: Any) -> bool:
        """Whether a function is declared as a task, here or with another Postlude, or is a wrapper of one."""
        while isinstance(function, functools.partial):
            function = function.func
        try:
            known = self.by_function.get(function)
        except TypeError:  # an object that cannot be hashed
            known = None
        return (known is not None and not known.plain) or is_declared(function)

    def resolve(self, name: str) -> Task[..., Any]:
        """Return the task of a stored name.

        Raises:
            UnknownTask: this release has none of this name. Nothing outside the application's own
                packages has been imported.
        """
        task = self._by_name.get(name)
        if task is None:
            task = self._look_up(name)
        return task

    def knows(self, name: str) -> bool:
        """Whether a stored name is a task of this release."""
        try:
            self.resolve(name)
        except UnknownTask:
            return False
        return True

    def attempts(self, name: str, opts: str | None) -> int | None:
        """Return how many attempts a job may have; None: this release does not know its task.

        Args:
            name: the stored name of its task.
            opts: what its call has set, as it is stored.
        """
        try:
            return self.resolve(name).policy.attempts(opts)
        except UnknownTask:
            return None

    def function_name(self, name: str) -> str | None:
        """Return the module and name of a task's function; None: nobody has asked for it here yet."""
        task = self._by_name.get(name)
        function = None if task is None else task.function
        place = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
        return None if None in place else ".".join(map(str, place))

    @property
    def names(self) -> frozenset[str]:
        """The names of the declared tasks and of the plain functions met so far."""
        return frozenset(self._by_name)

    @property
    def declared(self) -> Iterable[Task[..., Any]]:
        """The declared tasks."""
        return dict.fromkeys(self._declared.values())

    def check(self) -> None:
        """Check what could not be known when tasks were declared: annotations that came later.

        Raises:
            TaskDefinitionError: a dependency asks for what only an HTTP request has.
        """
        for task in self.declared:
            task.check_dependencies(late=True)

    @property
    def bounds(self) -> list[DeclaredLimits]:
        """What the journal is told of the declared tasks' limits and rates, under each of their names."""
        return [
            bounds_of("task", name, task.policy.limit, task.policy.rate)
            for name, task in self._declared.items()
        ]

    def bounded(self, queues: Collection[str]) -> list[Task[..., Any]]:
        """Return the declared tasks whose jobs have a limit or a rate; none, if any task's may have one.

        Args:
            queues: those that have a limit or a rate.
        """
        policies = {task: task.policy for task in self._declared.values()}
        if set(queues) - {policy.queue for policy in policies.values()}:
            return []  # its jobs are of plain functions, or come by `using`
        return [t for t, p in policies.items() if p.limit or p.rate or p.queue in queues]

    def _declare(self, function: Callable[P, R], names: Names, policy: Policy) -> Task[P, R]:
        if isinstance(function, Task):
            raise TaskDefinitionError(f"{function.name} is a task already; declare it once")
        if not callable(function):
            raise TaskDefinitionError(f"{type(function).__name__} is not callable; declare a function")
        try:
            refuse_generator(function)
            known_as = names.name or declared_name(function)
            read_signature(function)
        except (NotDurable, ValueError) as error:
            raise TaskDefinitionError(str(error)) from None
        for name in (known_as, *names.aliases):
            self._refuse_twin(name, function)
        refuse_unknown(known_as, policy.limit.per if policy.limit is not None else None, function)
        if policy.run == "process" and (reason := why_not_in_process(function)) is not None:
            raise TaskDefinitionError(reason)
        task = Task(function, known_as, self.limits, policy, carried=self._carried, fill=self.fill)
        task.check_dependencies()
        for name in (known_as, *names.aliases):
            self._declared[name] = task
        if task.rated:
            self.bounded_so_far += 1
        self._keep(task)
        return task

    def _refuse_twin(self, name: str, function: Callable[..., Any]) -> None:
        known = self._declared.get(name)
        if known is not None and not same_definition(known.function, function):
            raise TaskDefinitionError(
                f"{describe(function)} and {describe(known.function)} would both be {quoted(name)}; "
                f"give one a name= of its own"
            )

    def _meet(self, function: Any) -> Task[..., Any]:
        """Take in a function, or another registry's task, that this one has not seen yet."""
        if isinstance(function, Task):
            raise NotDurable(f"{function.name} is a task of another Postlude; declare it with this one")
        refuse_nameless(function)
        name = name_of(function)
        if self._strict:
            raise NotDurable(
                f"{name} is not declared as a task, and strict=True takes no other; put @postlude.task on it"
            )
        try:
            task = self.resolve(name)
        except UnknownTask as error:
            raise NotDurable(str(error)) from None
        if task.function != function:
            raise NotDurable(
                f"{describe(function)} is not what {quoted(name)} stands for, and another process would "
                f"run that; pass the function that the module has under this name"
            )
        self.by_function[function] = task
        return task

    def _look_up(self, name: str) -> Task[..., Any]:
        if self._strict:
            raise UnknownTask(f"{quoted(name)} is not declared as a task")
        module, place = load(name, self.packages)
        declared = self._declared.get(name)
        if declared is not None:  # by importing its module
            return declared
        function = find(module, place)
        if function is None:
            raise UnknownTask(f"{quoted(name)} is not defined in this release")
        task: Task[..., Any] = Task(function, name, self.limits, self._plain, plain=True)
        self._keep(task)
        return task

    def _keep(self, task: Task[..., Any]) -> None:
        self._by_name[task.name] = task
        self._by_name.update((name, known) for name, known in self._declared.items() if known is task)
        for key in (task, task.function):
            try:
                self.by_function[key] = task
            except TypeError:  # a callable object that cannot be hashed is known by its task only
                continue
