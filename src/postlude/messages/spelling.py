"""Names that nothing has here: what a misspelt one means, and what is written for those of other queues."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from functools import wraps
from typing import Any, Final, NoReturn, TypeVar

from postlude.messages.quoting import cut, quoted

T = TypeVar("T")

_LATER: Final = "background_tasks.add_task({task}.using(delay=60), ...)"
_WAIT: Final = "retry=Retry(backoff=Fixed({0}))"
_KEY: Final = "task.using(key={0})"
_START: Final = "task.using(delay={0})"
_AT: Final = "task.using(at={0})"
_LIMIT: Final = "limit=Limit({0})"
_KEPT: Final = "leave it out: what a function returns is kept by its return annotation"

_OPTIONS: Final[dict[str, str]] = {
    **dict.fromkeys(("retries", "max_retries", "num_retries"), "retry=Retry(attempts={more})"),
    **dict.fromkeys(("attempts", "tries", "max_tries", "max_attempts"), "retry=Retry(attempts={0})"),
    **dict.fromkeys(("backoff", "default_retry_delay", "retry_delay", "min_backoff"), _WAIT),
    **dict.fromkeys(("retry_backoff", "exponential_backoff"), "retry=Retry(backoff=Exponential())"),
    **dict.fromkeys(("max_backoff", "retry_backoff_max"), "retry=Retry(backoff=Exponential(most={0}))"),
    "retry_jitter": "retry=Retry(backoff=Exponential(jitter={0}))",
    **dict.fromkeys(("autoretry_for", "retry_for", "retry_on"), "retry=Retry(on=(ConnectionError,))"),
    **dict.fromkeys(("dont_autoretry_for", "throws"), "retry=Retry(unless=(ValueError,))"),
    **dict.fromkeys(("time_limit", "soft_time_limit", "job_timeout", "execution_timeout"), "timeout=30"),
    "rate_limit": "rate=Rate(100, per=60)",
    **dict.fromkeys(("concurrency", "max_concurrency", "concurrency_limit", "max_instances"), _LIMIT),
    **dict.fromkeys(("countdown", "defer_by", "_defer_by", "enqueue_in", "delay_seconds"), _START),
    **dict.fromkeys(("eta", "defer_until", "_defer_until", "enqueue_at", "run_at", "scheduled_at"), _AT),
    **dict.fromkeys(
        ("task_id", "job_id", "_job_id", "unique", "unique_key", "dedupe", "queueing_lock", "lock"), _KEY
    ),
    **dict.fromkeys(("queue_name", "_queue_name", "routing_key"), "queue={0}"),
    **dict.fromkeys(("actor_name", "task_name"), "name={0}"),
    **dict.fromkeys(("ttl", "max_age", "expire", "_expires"), "expires={0}"),
    **dict.fromkeys(("ignore_result", "store_results", "store_result", "keep_result"), _KEPT),
    **dict.fromkeys(("result_ttl", "failure_ttl"), "Config(keep=Keep(success_seconds={0}))"),
    **dict.fromkeys(
        ("acks_late", "ack_late", "reject_on_worker_lost"),
        'leave it out: a job whose process died runs again; delivery="at_most_once" is the contrary',
    ),
    "bind": "leave it out: current_job() inside the function gives what self would",
    **dict.fromkeys(
        ("link", "on_success", "callback"),
        "await postlude.add_task(...) for the next one at the end of the function",
    ),
}
"""An option of Celery, RQ, ARQ, Dramatiq, Huey or others, and what says the same here."""

_VERBS: Final[dict[str, str]] = {
    **dict.fromkeys(
        ("delay", "send", "kiq", "enqueue", "enqueue_job", "defer", "defer_async", "submit", "apply", "push"),
        "background_tasks.add_task({task}, ...) in a request, or await postlude.add_task({task}, ...)",
    ),
    **dict.fromkeys(
        ("apply_async", "send_with_options", "configure", "options", "set", "schedule", "enqueue_in"), _LATER
    ),
    "enqueue_at": _LATER.replace("delay=60", "at=moment"),
    "delay_on_commit": 'Depends(get_session, scope="function") and background_tasks.add_task({task}, ...)',
    **dict.fromkeys(
        ("s", "si", "signature", "subtask", "message"),
        "{task}.call(...), for postlude.add_tasks; in a chain, each task adds the next one at its end",
    ),
    **dict.fromkeys(
        ("map", "starmap", "chunks", "group", "send_many"),
        "await postlude.add_tasks({task}.call(n) for n in numbers)",
    ),
    "retry": "raise RetryLater(60) inside the task",
    **dict.fromkeys(("request", "update_state"), "current_job() inside the task"),
    "AsyncResult": "await postlude.job(id)",
    "send_task": "await postlude.add_task({task}, ...)",
    **dict.fromkeys(("actor", "shared_task"), "@postlude.task"),
}
"""What tasks and applications of other queues can do, and what does the same here."""

_RESULT: Final = "await job.result(timeout=60)"
_STATUS: Final = "(await job.status()).state"

_HANDLES: Final[dict[str, str]] = {
    **dict.fromkeys(("get", "wait", "join", "wait_result", "return_value", "get_result", "value"), _RESULT),
    **dict.fromkeys(("state", "info", "get_status", "successful", "is_finished", "is_failed"), _STATUS),
    **dict.fromkeys(("ready", "failed", "done", "finished", "is_done", "is_ready", "refresh"), _STATUS),
    **dict.fromkeys(("revoke", "abort", "terminate", "delete", "stop"), "await job.cancel()"),
    **dict.fromkeys(("task_id", "job_id", "message_id", "uuid", "key"), "job.id"),
}
"""What handles of jobs can do elsewhere, and what does the same here."""

_OF_KIND: Final[dict[str, dict[str, str]]] = {
    "Retry": {
        **dict.fromkeys(("delay", "interval", "wait", "countdown", "seconds"), "Retry(backoff=Fixed({0}))"),
        **dict.fromkeys(("max", "times", "count", "total", "stop"), "Retry(attempts={0})"),
        **dict.fromkeys(("exceptions", "errors"), "Retry(on=(ConnectionError,))"),
    },
    "Limit": dict.fromkeys(("max", "limit", "n", "slots", "size", "max_running"), "Limit(concurrent={0})"),
    "Rate": dict.fromkeys(("limit", "max", "rate", "max_rate"), "Rate({0}, per=60)"),
}
"""What a value's keyword is called elsewhere."""

_SETTINGS: Final[dict[str, str]] = {
    **dict.fromkeys(
        ("concurrency", "max_workers", "workers", "max_jobs", "worker_concurrency"),
        "threads={0} and loop_slots={0}",
    ),
    **dict.fromkeys(("shutdown_timeout", "grace_period", "graceful_timeout"), "grace={0}"),
    **dict.fromkeys(("result_ttl", "keep_results"), "keep=Keep(success_seconds={0})"),
}
_PLACES: Final = dict.fromkeys(
    ("broker", "broker_url", "url", "redis", "redis_url", "dsn", "database", "backend", "path", "journal"),
    'store="sqlite:///jobs.db"',
)


def near(name: str, known: Iterable[str]) -> str | None:
    """Return the name that a misspelt one is close to; None where none is."""
    return next(iter(get_close_matches(cut(name), list(known), 1)), None)


def option_here(name: str, value: Any) -> str | None:
    """Return what to do instead of an option of another queue; None for any other name."""
    written = _OPTIONS.get(name)
    return None if written is None else _to_write(_filled(written, value))


def no_such(owner: object, name: str, called: str) -> AttributeError:
    """Return the error of an attribute that is not there; of one of another queue's, with what to write.

    Args:
        owner: who has not got it.
        name: the attribute's.
        called: the whole name of a task; or what the owner is called.
    """
    short = called.rpartition(":")[2].rpartition(".")[2]
    here = (_HANDLES if called == "job" else _VERBS).get(name)
    what = f"{short} has no {quoted(name)}"
    if here is not None:
        what += "; write " + here.format(task="send_receipt" if ":" not in called else short)
    return AttributeError(what, name=name, obj=owner)


class _Elsewhere:
    """An attribute of other queues' tasks or applications: whoever asks for it is told what to write."""

    def __init__(self, name: str, called: str) -> None:
        self._name = name
        self._called = called

    def __get__(self, owner: object, kind: type) -> NoReturn:
        raise no_such(owner, self._name, str(getattr(owner, "__dict__", {}).get("name", self._called)))


def tells_what_to_write(called: str) -> Callable[[type[T]], type[T]]:
    """Let a class tell what to write in place of the attributes that it has at other queues.

    Not by `__getattr__`: where a class has that, Python looks up every attribute of its objects the long way.

    Args:
        called: the name of its objects, where they have none of their own.
    """

    def tell(kind: type[T]) -> type[T]:
        for name in _VERBS:
            if not hasattr(kind, name):
                setattr(kind, name, _Elsewhere(name, called))
        return kind

    return tell


def refuse_unknown(
    kind: str, given: Mapping[str, Any], known: Iterable[str], settings: Iterable[str] = ()
) -> None:
    """Make sure that keyword arguments have names that are there.

    Args:
        kind: whose they are.
        given: the arguments.
        known: the names that are there.
        settings: names that belong into `config=Config(...)`.

    Raises:
        TypeError: one has not; the message shows what to write.
    """
    known = list(known)
    for name, value in given.items():
        if name not in known:
            if name in settings:
                raise TypeError(
                    f"{kind}({name}={_shown(value)}): write config=Config({name}={_shown(value)})"
                )
            raise TypeError(f"{kind}({cut(name)}={_shown(value)}): {_instead(kind, name, value, known)}")


def _instead(kind: str, name: str, value: Any, known: list[str]) -> str:
    written = {"Config": _SETTINGS, "Postlude": _PLACES, **_OF_KIND}.get(kind, {}).get(name)
    if written is None and kind in ("Retry", "Limit", "Rate") and (option := _OPTIONS.get(name)) is not None:
        written = option.removeprefix("retry=").removeprefix("limit=") if f"={kind}(" in option else None
    if written is not None:
        return f"write {_filled(written, value)}"
    meant = near(name, known)
    hint = f"did you mean {meant}=?" if meant else f"there are {', '.join(known)}"
    return f"there is no {cut(name)}=; {hint}"


def spelled(kind: type[T]) -> type[T]:
    """Let a dataclass say what was meant by a keyword that it does not have."""
    made: Any = kind
    init = made.__init__
    known = frozenset(field.name for field in fields(kind))  # type: ignore[arg-type]

    @wraps(init)
    def checked(self: T, *args: Any, **kwargs: Any) -> None:
        if not known >= kwargs.keys():
            refuse_unknown(kind.__name__, kwargs, [field.name for field in fields(kind)])  # type: ignore[arg-type]
        init(self, *args, **kwargs)

    made.__init__ = checked
    return kind


def parameters_of(function: Callable[..., Any]) -> list[str]:
    """Return the names of the keywords that a function takes."""
    kinds = inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return [parameter.name for parameter in parameters if parameter.kind not in kinds]


def _to_write(line: str) -> str:
    return line if line.startswith(("leave it out", "there are none")) else f"write {line}"


def _filled(written: str, value: Any) -> str:
    more = value + 1 if type(value) is int and 0 <= value < 1_000 else 4
    return written.format(_shown(value), more=more)


def _shown(value: Any) -> str:
    text = quoted(value)
    return text if isinstance(value, (int, float, str, bool)) and len(text) < 60 else "..."
