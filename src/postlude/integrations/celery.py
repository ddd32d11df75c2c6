"""Tasks of Celery's as tasks of Postlude, for teams that have them: they are called through `add_task`."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

try:
    from celery import Celery
    from celery.app.routes import MapRoute
    from celery.exceptions import Ignore, Reject
    from celery.exceptions import Retry as Again
except ImportError as missing:
    raise ImportError(f"{__name__} needs an extra: pip install 'postlude[celery]' ({missing})") from missing

from postlude.app.postlude import Postlude
from postlude.errors import Discard, RetryLater
from postlude.jobs.current import current_job
from postlude.messages.quoting import quoted
from postlude.model.retry import Retry
from postlude.tasks.task import Task

__all__ = ["adopt"]

_NOT_THEIRS: Final = ("celery.", "postlude.")
"""How names of tasks begin that are not the application's own."""

_ALWAYS: Final = 1_000_000
"""Attempts of a task whose `max_retries` is None: as many as it asks for."""


def adopt(
    postlude: Postlude,
    app: Celery,
    *,
    tasks: Iterable[str] | None = None,
    queue: str | None = None,
    delivery: Literal["at_least_once", "at_most_once"] | None = None,
) -> list[Task[..., Any]]:
    """Declare the tasks of an application of Celery's, also `@shared_task`, for `add_task(send, 7)`.

    A function runs as Celery would run it: with `self`, `self.request.id` and `.retries`, `self.retry`,
    `autoretry_for`, `Ignore` and `Reject`; its name, `max_retries`, `expires` and `time_limit` hold.
    `send.delay(7)` goes to Celery as ever. Call it once, where all tasks have been imported.

    Args:
        postlude: whose tasks they become.
        app: the application of Celery's.
        tasks: only those of these names; None: all that are not Celery's own.
        queue: of their jobs; None: the one that Celery sends each to (`queue=` of the task, `task_routes`,
            `task_default_queue`), if the application's `queues=` has it, and else "default". Routes that are
            functions decide by a call's arguments, so they are not asked: then "default".
        delivery: how often a job may run when its process dies; None: as the application says. With
            `"at_most_once"` it is not tried again either, also by `self.retry`.

    Returns:
        what was declared now; what had been adopted before is left out.

    Raises:
        ValueError: the application has no task of a name in `tasks`.
        TaskDefinitionError: a function cannot be a task, or another task has its name.
    """
    theirs = {name: task for name, task in app.tasks.items() if not name.startswith(_NOT_THEIRS)}
    names = sorted(theirs) if tasks is None else list(tasks)
    for name in names:
        if name not in theirs:
            raise ValueError(
                f"adopt(tasks=[{quoted(name)}]): {quoted(app.main)} has no such task; it has: "
                f"{', '.join(sorted(theirs)) or 'none'}. Import the modules that declare them first"
            )
    registry = postlude.components.registry
    return [
        _adopted(postlude, theirs[name], queue or _queue_of(postlude, app, theirs[name]), delivery)
        for name in names
        if theirs[name] not in registry.by_function
    ]


def _queue_of(postlude: Postlude, app: Celery, task: Any) -> str | None:
    """Return the queue that Celery sends a task to, if it is one of the application's."""
    found: Any = None
    for router in app.amqp.routes:
        if not isinstance(router, MapRoute):
            return None
        if (route := router(task.name)) is not None:
            found = route.get("queue")
            break
    found = found or getattr(task, "queue", None) or app.conf.task_default_queue
    name = getattr(found, "name", found)  # a queue of kombu's, or how it is called
    return name if name in postlude.components.queues else None


def _adopted(
    postlude: Postlude,
    task: Any,
    queue: str | None,
    delivery: Literal["at_least_once", "at_most_once"] | None,
) -> Task[..., Any]:
    options: dict[str, Any] = {
        "name": task.name,
        "retry": Retry(
            attempts=_ALWAYS if task.max_retries is None else task.max_retries + 1, on=(RetryLater,)
        ),
    }
    if delivery is not None:
        options["delivery"] = delivery
    if queue is not None:
        options["queue"] = queue
    limits = [limit for limit in (task.soft_time_limit, task.time_limit) if limit]
    if limits:
        options["timeout"] = float(min(limits))
    if isinstance(task.expires, int | float):
        options["expires"] = float(task.expires)
    made: Task[..., Any] = postlude.task(_function(task), **options)
    postlude.components.registry.by_function[task] = made
    return made


def _function(task: Any) -> Callable[..., Any]:
    @functools.wraps(task.run)
    def run(*args: Any, **kwargs: Any) -> Any:
        job = current_job()
        # Eager: `self.retry` raises, and sends nothing.
        task.push_request(
            id=job.id, root_id=job.id, task=task.name, args=args, kwargs=kwargs, retries=job.attempt - 1,
            called_directly=False, is_eager=True, delivery_info={"is_eager": True},
        )  # fmt: skip
        try:
            return task.run(*args, **kwargs)
        except Again as again:
            raise RetryLater(again.when, str(again.exc or "")) from again
        except (Ignore, Reject) as error:
            raise Discard(str(error)) from error
        finally:
            task.pop_request()

    return run
