"""Again: a job is run once more with other arguments. That is a new job; the old one stays as it is."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import Parameter, formatannotation, signature
from typing import Any, Final

from pydantic_core import from_json
from starlette.responses import Response

from postlude.dashboard.actions.form import Form, back, by, need, read_form
from postlude.dashboard.masking import MASK, Called, masker_of
from postlude.dashboard.site import Visit
from postlude.dashboard.words import short_name
from postlude.errors import InvalidArguments, NotDurable, PostludeError, UnknownTask
from postlude.jobs.inspector import Arguments, JobStatus
from postlude.model.ids import IdSource, id_text
from postlude.model.job import NewJob
from postlude.model.overrides import Opts
from postlude.model.terms import PLAIN, Given
from postlude.tasks.task import Task

_IDS = IdSource()

_AT: Final = "at:"
_NAMED: Final = "named:"


class CannotRunAgain(PostludeError):
    """A job cannot be run with changes: by this release, or by this person."""


@dataclass(frozen=True, slots=True)
class Field:
    """An argument, to be changed."""

    name: str
    """Of the form's field."""
    label: str
    text: str
    """As JSON; empty: it was not given."""
    hint: str
    wrong: str


@dataclass(frozen=True, slots=True)
class AgainPage:
    """What the page shows."""

    id: str
    name: str
    href: str
    fields: tuple[Field, ...]
    wrong: str


async def page(visit: Visit) -> Response:
    """Answer with the form."""
    need(visit, "edit")
    status = await visit.desk.inspector.get(visit.asked("id"))
    return await _form(visit, status, None)


async def again(visit: Visit) -> Response:
    """Add the new job, and go to it."""
    form = await read_form(visit)
    need(visit, "edit")
    status = await visit.desk.inspector.get(form.one("id"))
    task, arguments = _task(visit, status)
    try:
        document = _document(form, arguments)
        args, kwargs = task.decode(json.dumps(document).encode())
        encoded = task.encode(args, kwargs)
    except (InvalidArguments, NotDurable, TypeError, ValueError) as error:
        return await _form(visit, status, form, str(error))
    store = visit.desk.store
    now = store.now()
    given = Given(Opts(parent=status.id).text())
    terms = ((task.terms(now) if task.special else None) or PLAIN)._replace(
        due=None,
        once=task.once,
        owner=status.owner,
        key=None,
        concurrency_key=task.concurrency_key(encoded) if task.special else None,
        rated=True,  # it is never born claimed, whatever its queue is bounded by
        given=given,
    )
    job = NewJob(_IDS.new(now), task.name, status.queue, encoded.payload, now, terms)
    await store.add([job], by=by(visit, "edit", status.id))
    return back(visit, Form({"back": [visit.url(f"jobs/{id_text(job.id)}")]}), "edit.1.0")


def _task(visit: Visit, status: JobStatus) -> tuple[Task[..., Any], Arguments]:
    if "arguments" not in visit.access.see:
        raise CannotRunAgain("who does not see arguments cannot change them")
    if status.arguments is None:
        raise CannotRunAgain("its arguments are not kept as plain JSON, so they cannot be changed here")
    try:
        return visit.desk.registry.resolve(status.task), status.arguments
    except UnknownTask:
        raise CannotRunAgain(
            f"this release has no task {status.task}, so nobody can tell what fits it"
        ) from None


async def _form(visit: Visit, status: JobStatus, form: Form | None, wrong: str = "") -> Response:
    task, arguments = _task(visit, status)
    shown = AgainPage(
        id=status.id,
        name=short_name(status.task),
        href=visit.url(f"jobs/{status.id}"),
        fields=tuple(_fields(visit, task, arguments, form)),
        wrong=wrong,
    )
    return await visit.page(
        "again.html", f"Run {shown.name} again", "jobs", 422 if wrong else 200, page=shown
    )


def _fields(visit: Visit, task: Task[..., Any], arguments: Arguments, form: Form | None) -> Iterator[Field]:
    masker, names = masker_of(visit.desk.registry, task.name)
    called = Called(arguments, names, masker)
    parameters = signature(task.function).parameters
    positional = len(arguments.positional)
    given: set[str] = set()
    for place, (label, value) in enumerate(called.named):
        name = f"{_AT}{place}" if place < positional else f"{_NAMED}{label}"
        text = json.dumps(value, ensure_ascii=False) if form is None else form.one(name)
        given.add(label)
        yield Field(name, label or f"#{place + 1}", text, _hint(parameters.get(label)), _problem(text))
    for label, parameter in parameters.items():
        if label not in given and parameter.kind in (
            Parameter.POSITIONAL_OR_KEYWORD,
            Parameter.KEYWORD_ONLY,
        ) and label not in task.injected:  # fmt: skip
            text = "" if form is None else form.one(f"{_NAMED}{label}")
            yield Field(f"{_NAMED}{label}", label, text, _hint(parameter), _problem(text))


def _hint(parameter: Parameter | None) -> str:
    if parameter is None:
        return ""
    hint = "" if parameter.annotation is Parameter.empty else formatannotation(parameter.annotation)
    return hint if parameter.default is Parameter.empty else f"{hint}, may be left out".lstrip(", ")


def _problem(text: str) -> str:
    try:
        _read(text)
    except ValueError:
        return "This is no JSON. A text stands in quotation marks."
    return ""


def _read(text: str) -> Any:
    return from_json(text) if text.strip() else None


def _document(form: Form, before: Arguments) -> dict[str, Any]:
    """Return the arguments that were sent, with the secrets that nobody was shown.

    Raises:
        ValueError: one is no JSON.
    """
    positional = [
        _unmasked(_read(form.one(f"{_AT}{place}")), value) for place, value in enumerate(before.positional)
    ]
    named: dict[str, Any] = {}
    for field in form.names():
        name = field.removeprefix(_NAMED)
        if name != field and form.one(field).strip():
            try:
                named[name] = _unmasked(_read(form.one(field)), before.named.get(name))
            except ValueError:
                raise ValueError(f"{name} is no JSON: a text stands in quotation marks") from None
    return {"a": positional, "k": named}


def _unmasked(sent: Any, before: Any) -> Any:
    """Put back what stands behind masks that were left as they are."""
    if sent == MASK:
        return before
    if isinstance(sent, dict) and isinstance(before, dict):
        return {name: _unmasked(value, before.get(name)) for name, value in sent.items()}
    if isinstance(sent, list) and isinstance(before, list) and len(sent) == len(before):
        return [_unmasked(value, old) for value, old in zip(sent, before, strict=True)]
    return sent
