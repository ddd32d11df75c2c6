"""Whatever the codec accepts comes back the same, type and value: Hypothesis looks for what does not."""

from datetime import timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postlude.errors import InvalidArguments, NotDurable
from postlude.tasks.codec.codec import Codec
from postlude.tasks.codec.payload import Limits
from tests.tasks import sample
from tests.tasks.sameness import fingerprint

LIMITS = Limits(payload=64 * 1024, depth=100)
QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False)
LINES = st.builds(
    sample.Line, Product=TEXT, amount=st.integers(), price=st.floats(allow_nan=False)
) | st.builds(sample.Line, Product=TEXT)
TREES = st.recursive(
    st.builds(sample.Tree, st.integers()),
    lambda children: st.builds(sample.Tree, st.integers(), st.lists(children, max_size=3)),
    max_leaves=8,
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
ORDERS = st.builds(sample.Order, lines=st.lists(LINES, max_size=3), note=st.none() | TEXT) | st.builds(
    sample.Order
)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers() | st.just(2**70),
    "float": st.floats(),
    "str": TEXT,
    "bool": st.booleans(),
    "bytes": st.binary(),
    "Decimal": DECIMALS,
    "datetime": (st.datetimes() | st.datetimes(timezones=OFFSETS)).filter(lambda value: not value.fold),
    "date": st.dates(),
    "time": st.times().filter(lambda value: not value.fold),
    "timedelta": st.timedeltas(timedelta(days=-99_999), timedelta(days=99_999)),
    "UUID": st.uuids(),
    "Path": TEXT.filter(lambda text: "\0" not in text).map(Path),
    "Colour": st.sampled_from(sample.Colour),
    "Size": st.sampled_from(sample.Size),
    "Level": st.sampled_from(sample.Level),
    "Literal": st.sampled_from(["a", 1, None]),
    "tuple": st.tuples(st.integers(), TEXT),
    "tuple...": st.lists(DECIMALS, max_size=5).map(tuple),
    "set": st.sets(st.uuids(), max_size=5),
    "frozenset": st.frozensets(TEXT, max_size=5),
    "list[float]": st.lists(st.floats(), max_size=5),
    "dict[int, bytes]": st.dictionaries(st.integers(), st.binary(), max_size=5),
    "dict[str, Any]": st.dictionaries(TEXT, PLAIN, max_size=4),
    "Tree": TREES,
    "Point": st.builds(sample.Point, st.integers(), st.floats(allow_nan=False)),
    "Options": st.fixed_dictionaries({"deep": st.booleans()}, optional={"level": st.integers()}),
    "Line": LINES,
    "Order": ORDERS,
    "Page[Line]": st.builds(sample.Page[sample.Line], items=st.lists(LINES, max_size=3)),
    "union": st.uuids() | st.none() | st.just("no uuid"),
    "nested": st.dictionaries(
        TEXT, st.lists(st.tuples(st.dates(), st.sampled_from(sample.Colour)) | LINES, max_size=3), max_size=3
    ),
}
CODECS = {name: Codec(name, sample.taking(annotation), LIMITS) for name, annotation in sample.TYPES.items()}
FREE = Codec("free", sample.free, LIMITS)


def test_every_sample_type_has_values() -> None:
    assert VALUES.keys() == sample.TYPES.keys()


@QUICK
@given(st.data(), st.sampled_from(sorted(VALUES)))
def test_values_of_the_annotated_type_come_back(data: st.DataObject, name: str) -> None:
    value = data.draw(VALUES[name])
    codec = CODECS[name]
    _, kwargs = codec.decode(codec.encode((value,), {}).payload)
    assert fingerprint(kwargs["value"]) == fingerprint(value)


@QUICK
@given(PLAIN, PLAIN)
def test_json_needs_no_annotation(value: Any, other: Any) -> None:
    _, kwargs = FREE.decode(FREE.encode((value, other), {}).payload)
    assert fingerprint(kwargs) == fingerprint({"value": value, "other": other})


@QUICK
@given(st.data(), st.sampled_from(sorted(VALUES)), st.sampled_from(sorted(VALUES)))
def test_what_is_accepted_comes_back_whatever_it_is(data: st.DataObject, declared: str, actual: str) -> None:
    value = data.draw(VALUES[actual])
    codec = CODECS[declared]
    try:
        encoded = codec.encode((value,), {})
    except NotDurable:
        return
    assert fingerprint(codec.decode(encoded.payload)[1]["value"]) == fingerprint(value)


@QUICK
@given(st.data(), st.sampled_from(sorted(VALUES)))
def test_without_an_annotation_a_value_comes_back_or_is_refused(data: st.DataObject, name: str) -> None:
    value = data.draw(VALUES[name])
    try:
        encoded = FREE.encode((value,), {})
    except NotDurable:
        return
    assert fingerprint(FREE.decode(encoded.payload)[1]["value"]) == fingerprint(value)


@QUICK
@given(st.lists(st.integers(), min_size=1, max_size=5), st.dictionaries(st.sampled_from("xyz"), st.dates()))
def test_calls_of_any_shape_come_back(rest: list[int], more: dict[str, Any]) -> None:
    decimals = tuple(Decimal(number) for number in rest)
    codec = Codec("variadic", sample.variadic, LIMITS)
    args, kwargs = codec.decode(codec.encode((1, *decimals), more).payload)
    assert (args, kwargs) in (((1, *decimals), more), ((1,), {"b": decimals[0], **more}))


@QUICK
@given(st.binary(max_size=60) | st.builds(lambda t: b'{"a":[],"k":{"value":%b}}' % t, st.binary(max_size=20)))
def test_no_payload_raises_anything_else(payload: bytes) -> None:
    for codec in (FREE, CODECS["Order"], CODECS["int"]):
        try:
            codec.decode(payload)
        except InvalidArguments:
            continue
