"""Parameters that FastAPI's `Depends` fills: found, left out of what is stored, or refused."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import (
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    File,
    Form,
    Header,
    Path,
    Query,
    Request,
    Response,
    Security,
    WebSocket,
)
from fastapi.params import Depends as Mark
from fastapi.security import HTTPBearer, OAuth2PasswordBearer, SecurityScopes
from starlette.requests import HTTPConnection

from postlude.errors import InvalidArguments, NotDurable, TaskDefinitionError
from postlude.tasks.inject.dependencies import injected as left
from postlude.tasks.registry import Registry
from tests.tasks import injected


class Session:
    pass


def get_session() -> Session:
    return Session()


class Settings:
    def __init__(self, session: Annotated[Session, Depends()]) -> None: ...


class Marked(Mark):
    """What a library derives from FastAPI's class."""


def by_default(value: int, session: Session = Depends(get_session)) -> None: ...
def by_annotation(value: int, session: Annotated[Session, Depends(get_session)]) -> None: ...
def by_class(value: int, session: Session = Depends()) -> None: ...
def first(session: Annotated[Session, Depends(get_session)], value: int) -> None: ...
def with_none(value: int, session: Annotated[Session | None, Depends(get_session)] = None) -> None: ...
def derived(value: int, session: Session = Marked(get_session)) -> None: ...  # type: ignore[assignment]
def by_keyword(value: int, *, session: Session = Depends(get_session)) -> None: ...
def before(value: int, session: Session = Depends(get_session), more: int = 2) -> None: ...
def with_extra(value: int, session: Session = Depends(get_session), **extra: int) -> None: ...
def left_out(value: int, session: Annotated[Session, Depends(get_session)] = left) -> None: ...
def left_out_before(
    value: int, session: Annotated[Session, Depends(get_session)] = left, more: int = 2
) -> None: ...
def with_rest(value: int, *rest: int, session: Session = Depends(get_session)) -> None: ...


EVERY_FORM = [
    by_default, by_annotation, by_class, first, with_none, derived, by_keyword, before, with_extra, with_rest,
    injected.late, injected.hidden, left_out, left_out_before,
]  # fmt: skip


@pytest.fixture
def registry() -> Registry:
    return Registry(packages=["tests"])


@pytest.mark.parametrize("function", EVERY_FORM)
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "plain"])
def test_they_are_neither_stored_nor_required(
    registry: Registry, function: Callable[..., None], declared: bool
) -> None:
    task = registry.task(function) if declared else registry.of(function)
    assert task.injected == {"session"}
    assert task.using(queue="other").injected == {"session"}
    for args, kwargs in (((1,), {}), ((), {"value": 1})):
        payload = task.encode(args, kwargs).payload
        assert payload == b'{"a":[],"k":{"value":1}}'
    assert task.decode(payload) == ((), {"value": 1})


@pytest.mark.parametrize("function", EVERY_FORM)
def test_passing_one_is_refused(registry: Registry, function: Callable[..., None]) -> None:
    task = registry.task(function)
    with pytest.raises(NotDurable, match="'session' is filled by Depends"):
        task.encode((1,), {"session": Session()})
    with pytest.raises(InvalidArguments, match="'session'"):
        task.decode(b'{"a":[],"k":{"value":1,"session":2}}')


@pytest.mark.parametrize("function", [by_default, by_annotation, first, before, with_none])
def test_passing_one_by_position_is_refused(registry: Registry, function: Callable[..., None]) -> None:
    with pytest.raises(NotDurable, match="'session' is filled by Depends"):
        registry.task(function).encode((1, 2), {})


def test_what_follows_one_is_passed_by_name(registry: Registry) -> None:
    assert registry.task(before).encode((1,), {"more": 3}).payload == b'{"a":[],"k":{"value":1,"more":3}}'


def test_what_follows_one_without_default_moves_up(registry: Registry) -> None:
    assert registry.task(first).encode((1,), {}).payload == b'{"a":[],"k":{"value":1}}'


def test_a_direct_call_passes_them(registry: Registry) -> None:
    @registry.task
    def told(value: int, session: Session = Depends(get_session)) -> tuple[int, Session]:
        return value, session

    session = Session()
    assert told(1, session=session) == (1, session)
    assert told(1, session) == (1, session)
    with pytest.raises(
        TypeError, match="told: Depends fills 'session' in jobs only; a direct call must pass it"
    ):
        told(1)
    with pytest.raises(TypeError, match="told: missing a required argument: 'value'"):
        told()  # type: ignore[call-arg]


def test_a_direct_call_of_one_that_may_be_left_out_passes_it(registry: Registry) -> None:
    def told(session: Annotated[Session, Depends(get_session)] = left) -> Session:
        return session

    task, session = registry.task(told), Session()
    assert task(session) is session
    with pytest.raises(TypeError, match="Depends fills 'session' in jobs only; a direct call must pass it"):
        task()
    assert repr(told()) == "injected"
    with pytest.raises(AttributeError, match="'execute' of what `Depends` fills in jobs only: a direct call"):
        _ = told().execute  # type: ignore[attr-defined]


@pytest.mark.parametrize("annotation", [Session, Any, Annotated[Session, "words"], Annotated[int, Query()]])
def test_that_default_needs_a_depends_in_the_annotation(registry: Registry, annotation: Any) -> None:
    def told(session: Any = left) -> None: ...

    told.__annotations__["session"] = annotation
    with pytest.raises(TaskDefinitionError, match="'session' has the default `injected`, and its annotation"):
        registry.task(told)


def test_a_plain_function_with_that_default_alone_is_not_durable(registry: Registry) -> None:
    with pytest.raises(NotDurable, match="'session' has the default `injected`"):
        registry.of(injected.without).encode((), {})


def test_a_task_without_has_none(registry: Registry) -> None:
    def plain(value: int, more: Annotated[int, "words"] = 2) -> None: ...

    assert registry.task(plain).injected == frozenset()


def test_an_annotation_that_came_later_counts_from_the_first_use(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.delattr(injected, "Session")
        task = registry.task(injected.late)
        copy = task.using(queue="other")
    assert task.injected == copy.injected == frozenset()
    copy.encode((1,), {})
    assert task.injected == copy.injected == {"session"}


def test_an_annotation_that_never_comes_is_told_with_what_is_missing(registry: Registry) -> None:
    with pytest.raises(TypeError, match="'session'; 'session' has an annotation that cannot be resolved"):
        registry.task(injected.hidden_in_text).encode((1,), {})


def test_the_release_does_not_depend_on_them(registry: Registry) -> None:
    def without(value: int) -> None: ...

    releases = {Registry().task(f, name="t").release for f in (by_default, by_annotation, by_class, without)}
    assert len(releases) == 1


def asks(annotation: Any, default: Any = ...) -> Callable[..., Any]:
    def dependency(wanted: Any) -> None: ...

    dependency.__annotations__ = {"wanted": annotation}
    dependency.__defaults__ = None if default is ... else (default,)
    return dependency


FROM_REQUESTS = {
    "query": (int, ..., "query parameter or a body"),
    "query with a default": (int, 1, "query parameter or a body"),
    "body": (dict[str, int], ..., "query parameter or a body"),
    "Query": (int, Query(1), "filled by Query"),
    "Path": (Annotated[int, Path()], ..., "filled by Path"),
    "Header": (Annotated[str, Header()], ..., "filled by Header"),
    "Cookie": (Annotated[str, Cookie()], ..., "filled by Cookie"),
    "Body": (Annotated[int, Body()], ..., "filled by Body"),
    "File": (Annotated[bytes, File()], ..., "filled by File"),
    "Form": (Annotated[str, Form()], ..., "filled by Form"),
    "Response": (Response, ..., "is the response"),
    "WebSocket": (WebSocket, ..., "is the WebSocket"),
    "BackgroundTasks": (BackgroundTasks, ..., "BackgroundTasks of a request"),
    "SecurityScopes": (SecurityScopes, ..., "SecurityScopes of a route"),
    "Security": (str, Security(get_session), "filled by Security"),
    "OAuth2": (str, Depends(OAuth2PasswordBearer("/token")), "filled by OAuth2PasswordBearer"),
    "bearer": (Annotated[str, Depends(HTTPBearer())], ..., "filled by HTTPBearer"),
}


@pytest.mark.parametrize("kind", FROM_REQUESTS)
def test_what_only_a_request_has_is_refused(registry: Registry, kind: str) -> None:
    annotation, default, reason = FROM_REQUESTS[kind]
    dependency = asks(annotation, default)

    def outer(inner: object = Depends(dependency)) -> None: ...
    def near(value: int, thing: object = Depends(dependency)) -> None: ...
    def far(value: int, thing: Annotated[object, Depends(outer)]) -> None: ...

    for function, place in ((near, "thing -> wanted"), (far, "thing -> inner -> wanted")):
        with pytest.raises(TaskDefinitionError, match=f"{function.__name__}: parameter '{place}' .*{reason}"):
            registry.task(function)


@pytest.mark.parametrize("kind", ["Security", "OAuth2", "bearer"])
def test_a_security_dependency_is_refused_on_the_task_too(registry: Registry, kind: str) -> None:
    annotation, default, reason = FROM_REQUESTS[kind]
    with pytest.raises(TaskDefinitionError, match=f"parameter 'wanted' .*{reason}"):
        registry.task(asks(annotation, default), name="asks")


@pytest.mark.parametrize("kind", ["Query", "Response", "WebSocket", "BackgroundTasks", "SecurityScopes"])
def test_the_tasks_own_parameters_are_no_places_for_them_either(registry: Registry, kind: str) -> None:
    annotation, default, reason = FROM_REQUESTS[kind]
    with pytest.raises(TaskDefinitionError, match=f"parameter 'wanted' .*{reason}"):
        registry.task(asks(annotation, default), name="asks")


def test_a_task_does_not_take_the_request_itself(registry: Registry) -> None:
    with pytest.raises(TaskDefinitionError, match=r"'wanted' is the request.* a dependency may take it"):
        registry.task(asks(Request), name="asks")


def test_what_a_dependency_may_have(registry: Registry) -> None:
    def connected(connection: HTTPConnection) -> None: ...
    def requested(
        request: Request, other: None = Depends(connected), settings: Settings = Depends()
    ) -> None: ...
    def task(value: int, thing: None = Depends(requested), session: Session = Depends()) -> None: ...

    assert registry.task(task).injected == {"thing", "session"}
    assert registry.task(injected.nested).injected == {"number"}


def test_a_class_is_looked_into(registry: Registry) -> None:
    class Pages:
        def __init__(self, page: int = 1) -> None: ...

    def listing(pages: Annotated[Pages, Depends()]) -> None: ...

    with pytest.raises(TaskDefinitionError, match="'pages -> page' is a query parameter"):
        registry.task(listing)


def test_an_object_that_is_called_is_looked_into(registry: Registry) -> None:
    class Checker:
        def __call__(self, q: str) -> bool:
            return bool(q)

    def checked(ok: bool = Depends(Checker())) -> None: ...

    with pytest.raises(TaskDefinitionError, match="'ok -> q' is a query parameter"):
        registry.task(checked)


def test_a_tree_that_meets_itself_is_walked_once(registry: Registry) -> None:
    dependency: Callable[..., Any] = get_session
    for _ in range(40):

        def above(one: Any = Depends(dependency), two: Any = Depends(dependency)) -> None: ...

        dependency = above

    def task(value: int, thing: Any = Depends(dependency)) -> None: ...

    assert registry.task(task).injected == {"thing"}


def test_a_place_that_is_passed_by_position_is_refused(registry: Registry) -> None:
    def only(session: Annotated[Session, Depends(get_session)], /) -> None: ...
    def in_front(session: Session = Depends(get_session), *rest: int) -> None: ...

    with pytest.raises(TaskDefinitionError, match="positional-only"):
        registry.task(only)
    with pytest.raises(TaskDefinitionError, match=r"stands before `\*rest`"):
        registry.task(in_front)


class TestLate:
    """A dependency whose annotations name what is defined after the task."""

    @pytest.fixture
    def task(self, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Any:
        with monkeypatch.context() as before:
            before.delitem(globals(), "LateResponse")
            return registry.task(depending)

    def test_it_is_declared(self, task: Any) -> None:
        assert task.injected == {"thing"}

    def test_it_is_refused_at_start_up(self, registry: Registry, task: Any) -> None:
        with pytest.raises(TaskDefinitionError, match="'thing -> wanted' is the response"):
            registry.check()

    def test_it_is_refused_at_its_first_use(self, task: Any) -> None:
        with pytest.raises(TaskDefinitionError, match="'thing -> wanted' is the response"):
            task.encode((1,), {})
        with pytest.raises(InvalidArguments, match="'thing -> wanted' is the response"):
            task.decode(b'{"a":[],"k":{"value":1}}')

    def test_a_plain_function_is_not_durable(self, registry: Registry) -> None:
        with pytest.raises(NotDurable, match="'thing -> wanted' is the response"):
            registry.of(depending).encode((1,), {})

    def test_what_is_never_defined_is_refused(self, registry: Registry) -> None:
        def dependency(wanted: "Nothing") -> None: ...  # type: ignore[name-defined]  # noqa: F821
        def function(thing: None = Depends(dependency)) -> None: ...

        task = registry.task(function)
        with pytest.raises(TaskDefinitionError, match="'thing -> wanted' has an annotation that cannot be"):
            registry.check()
        with pytest.raises(TaskDefinitionError, match="'thing -> wanted' has an annotation that cannot be"):
            task.encode((), {})


def get_late(wanted: "LateResponse") -> None: ...


def depending(value: int, thing: None = Depends(get_late)) -> None: ...


def test_another_process_has_no_application(registry: Registry) -> None:
    with pytest.raises(TaskDefinitionError, match=r"'session' is filled by Depends, and run=\"process\""):
        registry.task(by_default, run="process")


LateResponse = Response
