"""What the codec takes, what it refuses, and that what it takes comes back the same."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pydantic import PlainSerializer, SecretStr
from starlette.datastructures import UploadFile
from starlette.requests import Request

from postlude.errors import InvalidArguments, NotDurable
from postlude.tasks.codec.codec import Codec
from postlude.tasks.codec.payload import Limits, Payload
from tests.tasks import sample

NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 (people pass such)
LIMITS = Limits(payload=1024 * 1024, depth=100)


def codec_of(function: Callable[..., Any], limits: Limits = LIMITS) -> Codec:
    return Codec("app:task", function, limits)


def come_back(
    function: Callable[..., Any], *args: Any, **kwargs: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    codec = codec_of(function)
    return codec.decode(codec.encode(args, kwargs).payload)


def refusal(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    with pytest.raises(NotDurable) as caught:
        codec_of(function).encode(args, kwargs)
    return str(caught.value)


def test_arguments_are_bound_to_their_names() -> None:
    encoded = codec_of(sample.send).encode((7, "ada"), {})
    assert encoded == Payload(b'{"a":[],"k":{"order":7,"to":"ada"}}', (), {"order": 7, "to": "ada"})


def test_a_release_may_reorder_parameters_and_correct_a_default() -> None:
    def later(to: str, tenant: str = "corrected", *, order: int) -> None: ...

    payload = codec_of(sample.send).encode((7, "ada"), {}).payload
    assert codec_of(later).decode(payload) == ((), {"order": 7, "to": "ada"})


def test_only_immutable_scalars_are_reused_for_the_first_attempt() -> None:
    values = [1]
    encoded = codec_of(sample.free).encode((values,), {})
    values.append(2)
    assert encoded == Payload(b'{"a":[],"k":{"value":[1]}}', None, None)


def test_the_callers_keywords_may_be_changed_afterwards() -> None:
    kwargs = {"order": 7, "to": "ada"}
    encoded = codec_of(sample.send).encode((), kwargs)
    kwargs["to"] = "eve"
    assert encoded.kwargs == {"order": 7, "to": "ada"}


def test_unnamed_and_extra_arguments_come_back_in_their_places() -> None:
    day = datetime(2026, 1, 2, tzinfo=UTC).date()
    rest = (Decimal("1.10"), Decimal(2))
    assert come_back(sample.variadic, 1, Decimal(0), *rest, c=sample.Colour.BLUE, until=day) == (
        (1, Decimal(0), *rest),
        {"c": sample.Colour.BLUE, "until": day},
    )
    assert come_back(sample.only_rest, 1, 2, 3) == ((1, 2, 3), {})
    assert come_back(sample.only_rest, first=1) == ((), {"first": 1})


def test_a_keyword_may_have_the_name_of_a_positional_only_parameter() -> None:
    def task(name: int, /, **more: int) -> None: ...

    assert come_back(task, 1, name=2) == ((1,), {"name": 2})


def test_an_int_for_a_float_stays_an_int() -> None:
    (_, kwargs) = come_back(sample.taking(float), 1)
    assert type(kwargs["value"]) is int


def test_none_as_a_default_allows_none() -> None:
    assert come_back(sample.implicit, None) == ((), {"value": None})


def test_a_wrapper_is_called_as_it_asks_to_be() -> None:
    assert come_back(sample.wrapped, 3) == ((), {"value": 3})
    called: Callable[..., str] = sample.with_session
    assert called(**come_back(called, 3)[1]) == "session 3"


def test_a_typed_dict_may_be_in_any_order() -> None:
    codec = codec_of(sample.taking(tuple[sample.Options, dict[str, sample.Order]]))
    value = ({"level": 1, "deep": True}, {"b": sample.Order(note=None), "a": sample.Order(lines=[])})
    back = codec.decode(codec.encode((value,), {}).payload)[1]["value"]
    assert back == value
    assert {name: order.model_fields_set for name, order in back[1].items()} == {
        "b": {"note"},
        "a": {"lines"},
    }


def test_models_come_back_by_field_name_with_what_was_set() -> None:
    order = sample.Order(lines=[sample.Line(Product="tea"), sample.Line(Product="cup", amount=1)])
    back = come_back(sample.taking(sample.Order), order)[1]["value"]
    assert back == order
    assert back.model_fields_set == {"lines"}
    assert [line.model_fields_set for line in back.lines] == [{"product"}, {"product", "amount"}]


@pytest.mark.parametrize("place", ["list", "dict", "tuple"])
def test_what_was_set_is_kept_in_containers_too(place: str) -> None:
    wrap: dict[str, tuple[Any, Callable[[Any], Any]]] = {
        "list": (list[sample.Order], lambda o: [o]),
        "dict": (dict[int, sample.Order], lambda o: {3: o}),
        "tuple": (tuple[int, sample.Order], lambda o: (1, o)),
    }
    annotation, put = wrap[place]
    back = come_back(sample.taking(annotation), put(sample.Order(note=None)))[1]["value"]
    found = back[3] if place == "dict" else back[-1]
    assert found.model_fields_set == {"note"}


def test_a_note_of_unset_fields_that_leads_nowhere_is_passed_over() -> None:
    codec = codec_of(sample.taking(sample.Order | int))
    for way in ('["k","value","lines",9]', '["k","other"]', '["a",0]', "[]", "7", '["k","value"]'):
        payload = b'{"a":[],"k":{"value":5},"u":[[%b,["note"]]]}' % way.encode()
        assert codec.decode(payload) == ((), {"value": 5})


class Session:
    """Something that is open."""


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "text for int": (int, "7", "'value' is of type str"),
    "bool for int": (int, True, "would come back as its base int"),
    "bool for float": (float, True, "'value'"),
    "enum for str": (str, sample.Size.SMALL, "'value'"),
    "int enum for int": (int, sample.Level.LOW, "would come back as its base int"),
    "subclass of a model": (sample.Order, sample.RushOrder(), "would come back as its base Order"),
    "subclass inside": (list[sample.Order], [sample.RushOrder()], "'value[0]' is of type RushOrder"),
    "dict for a model": (sample.Order, {}, "'value' is of type dict"),
    "unannotated tuple": (Any, (1, 2), "builtins.tuple, which JSON cannot restore"),
    "unannotated set": (Any, {1}, "builtins.set"),
    "unannotated model": (Any, sample.Order(), "Order"),
    "unannotated bytes": (Any, b"x", "builtins.bytes"),
    "unannotated datetime inside": (
        Any,
        {"a": [NAIVE]},
        "\"value['a'][0]\" is of type datetime",
    ),
    "unannotated subclass of str": (Any, sample.Size.SMALL, "would come back as its base"),
    "unannotated int keys": (Any, {1: 2}, "has a key of type int"),
    "datetime in dict[str, Any]": (dict[str, Any], {"a": NAIVE}, "would come back as str"),
    "tuple in list[Any]": (list[Any], [(1,)], "'value[0]' is of type tuple"),
    "tuple for a list": (list[int], (1,), "'value'"),
    "int in list[float]": (list[float], [1], "'value[0]' is of type int and would come back as float"),
    "secret": (SecretStr, SecretStr("hidden"), "is a secret"),
    "secret inside": (sample.Order, sample.Order(secret=SecretStr("hidden")), "'value.secret' is a secret"),
    "request": (Request, Request({"type": "http"}), "'value' is of type Request"),
    "upload": (UploadFile, UploadFile(io.BytesIO()), "'value' is of type UploadFile"),
    "what has no JSON": (
        Session,
        Session(),
        "is of type Session, which cannot be written as JSON; pass what",
    ),
    "another type": (UUID, 7, "is of type int, which does not fit its annotation UUID; pass a value of"),
    "another type than what has no JSON": (Session, 7, "by its annotation Session: JSON cannot restore it"),
    "unannotated request": (Any, Request({"type": "http"}), "starlette.requests.Request"),
    "open file": (Any, io.BytesIO(), "is an open file"),
    "open file, annotated": (io.BytesIO, io.BytesIO(), "is an open file"),
    "iterator": (Any, iter([1]), "is an iterator"),
    "lone surrogate": (str, "\ud800", "lone surrogate"),
    "lone surrogate inside": (list[str], ["\ud800"], "lone surrogate"),
    "an int too long to read": (int, 10**4300, "4,300 digits"),
    "a long int inside": (Any, [10**4300], "4,300 digits"),
    "a time zone with rules": (datetime, datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Paris")), "time zone"),
    "fold": (datetime, NAIVE.replace(fold=1), "would come back changed"),
    "text like a UUID": (UUID | str, str(UUID(int=1)), "would come back as UUID"),
    "lambda": (Any, lambda: None, "function"),
    "class": (type, int, "'value'"),
    "NaN as Decimal": (Decimal, Decimal("NaN"), "would not come back"),
    "attribute beside the fields": (sample.Order, sample.with_surprise(), "'value.surprise' would be lost"),
    "a sign that is lost": (Annotated[float, PlainSerializer(abs)], -0.0, "would come back changed"),
    "model that has lost a field": (sample.Order, sample.without_note(), "'value.note' is missing"),
    "model without a field": (sample.Line, sample.Line.model_construct(), "'value"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_on_the_callers_line(case: str) -> None:
    annotation, value, words = REFUSED[case]
    message = refusal(sample.taking(annotation), value)
    assert message.startswith("app:task: argument ")
    assert words in message


def test_refusals_do_not_tell_the_value() -> None:
    values: list[tuple[Any, Any]] = [
        (int, "canary"), (list[int], ["canary"]), (sample.Order, {"note": "canary"}), (UUID, "canary"),
        (Any, ("canary",)), (SecretStr, SecretStr("canary")), (bytes, "canary"), (sample.Size, "canary"),
    ]  # fmt: skip
    for annotation, value in values:
        assert "canary" not in refusal(sample.taking(annotation), value)


def test_a_normalised_value_is_refused_not_changed() -> None:
    assert "would come back changed" in refusal(sample.stripped, " x ")
    assert come_back(sample.stripped, "x") == ((), {"value": "x"})


def test_a_secret_can_be_allowed_by_its_annotation() -> None:
    assert come_back(sample.allowed, SecretStr("x"))[1]["value"].get_secret_value() == "x"


def test_an_iterator_is_not_used_up() -> None:
    numbers = iter([1, 2])
    refusal(sample.free, numbers)
    refusal(sample.free, [numbers])
    refusal(sample.taking(list[Any]), [numbers])
    assert list(numbers) == [1, 2]


def test_an_annotation_that_cannot_be_resolved_spoils_only_its_own_parameter() -> None:
    assert "import the name outside `if TYPE_CHECKING:`" in refusal(sample.absent, 1)
    codec = codec_of(sample.absent)
    with pytest.raises(InvalidArguments, match="TYPE_CHECKING"):
        codec.decode(b'{"a":[],"k":{"value":1}}')


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "missing a required argument: 'order'"),
        ((1,), {}, "missing a required argument: 'to'"),
        ((1, "a", "b", "c"), {}, "too many positional arguments"),
        ((1, "a"), {"to": "b"}, "multiple values for argument 'to'"),
        ((1, "a"), {"cc": "b"}, "unexpected keyword argument 'cc'$"),
        (
            (),
            {"a": 2, "odrer": 1},
            "missing a required argument: 'order'; by 'odrer', did you mean order\\?$",
        ),
        ((1,), {"order": 1, "oder": 1}, "multiple values for argument 'order'$"),
    ],
)
def test_a_call_that_python_would_refuse_is_refused_now(
    args: tuple[Any, ...], kwargs: dict[str, Any], words: str
) -> None:
    with pytest.raises(TypeError, match=words):
        codec_of(sample.send).encode(args, kwargs)


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"null", b"[]", b"{}", b'{"a":[]}', b'{"a":{},"k":{}}', b'{"a":[],"k":[]}', b"\xff",
        b"[" * 100_000,
        b'{"a":[],"k":{"', b'{"a":[],"k":{}}', b'{"a":[],"k":{"order":7}}', b'{"a":[7],"k":{"to":"a"}}',
        b'{"a":[],"k":{"order":"7","to":"a"}}', b'{"a":[],"k":{"order":7.0,"to":"a"}}',
        b'{"a":[],"k":{"order":true,"to":"a"}}', b'{"a":[],"k":{"order":7,"to":null}}',
        b'{"a":[],"k":{"order":7,"to":"a","cc":"b"}}',
    ],
)  # fmt: skip
def test_stored_arguments_that_do_not_fit_are_refused(payload: bytes) -> None:
    with pytest.raises(InvalidArguments):
        codec_of(sample.send).decode(payload)


def test_an_enum_value_that_is_gone_is_refused() -> None:
    class Colour(Enum):
        BLUE = "b"

    payload = codec_of(sample.taking(sample.Colour)).encode((sample.Colour.RED,), {}).payload
    with pytest.raises(InvalidArguments, match="'value'"):
        codec_of(sample.taking(Colour)).decode(payload)


def test_each_attempt_gets_values_of_its_own() -> None:
    codec = codec_of(sample.free)
    payload = codec.encode(([1],), {}).payload
    codec.decode(payload)[1]["value"].append(2)
    assert codec.decode(payload) == ((), {"value": [1]})


def test_paths_in_messages_stay_short() -> None:
    deep: Any = [(1,)]
    for _ in range(80):
        deep = {"k" * 300: deep}
    assert len(refusal(sample.free, deep)) < 500


def test_the_sample_annotations_are_all_usable() -> None:
    assert Path("/x") == come_back(sample.taking(Path), Path("/x"))[1]["value"]
    for annotation in sample.TYPES.values():
        codec_of(sample.taking(annotation)).fields["value"].adapter()
