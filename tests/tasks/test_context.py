"""Context variables travel with a job as values, or are refused where it is added."""

import enum
import json
import logging
import math
from contextvars import Context, ContextVar, copy_context
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlude.errors import NotDurable
from postlude.tasks.context import DEEPEST, MOST, Carried

request_id: ContextVar[Any] = ContextVar("request_id")
tenant: ContextVar[Any] = ContextVar("tenant", default="nobody")
LISTED = Carried([request_id, tenant])


class Colour(enum.StrEnum):
    RED = "red"


def captured(carried: Carried = LISTED, **values: Any) -> str | None:
    """Capture in a context in which only these are set."""

    def inside() -> str | None:
        for variable in (request_id, tenant):
            if variable.name in values:
                variable.set(values[variable.name])
        return carried.capture()

    return Context().run(inside)


def refusal(**values: Any) -> str:
    with pytest.raises(NotDurable) as caught:
        captured(**values)
    return str(caught.value)


def seen(context: Context) -> dict[str, Any]:
    return {variable.name: value for variable, value in context.items()}


def test_what_is_set_is_captured_and_set_again() -> None:
    text = captured(request_id="r-7", tenant="acme")
    assert text is not None
    assert json.loads(text) == {"request_id": "r-7", "tenant": "acme"}
    assert seen(LISTED.context(text)) == {"request_id": "r-7", "tenant": "acme"}
    assert LISTED.values(text) == {"request_id": "r-7", "tenant": "acme"}


def test_nothing_is_captured_where_nothing_is_listed_or_set() -> None:
    assert captured(Carried(), request_id="r-7") is None
    assert captured() is None
    assert LISTED.values(None) == {}


def test_a_default_is_no_value() -> None:
    text = captured(request_id="r-7")
    assert text == '{"request_id":"r-7"}'
    assert LISTED.context(text).run(tenant.get) == "nobody"


def test_none_is_a_value() -> None:
    text = captured(tenant=None)
    assert LISTED.context(text).run(tenant.get) is None


def test_the_context_is_new_and_has_nothing_else() -> None:
    text = captured(tenant=["acme"])
    one, other = LISTED.context(text), LISTED.context(text)
    one.run(tenant.get).append("changed")
    assert other.run(tenant.get) == ["acme"]
    assert seen(LISTED.context(None)) == {}
    assert tenant not in copy_context()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_every_json_value_comes_back_the_same(value: Any) -> None:
    back = LISTED.context(captured(tenant=value)).run(tenant.get)
    assert repr(back) == repr(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_floats_that_json_has_no_number_for_come_back(value: float) -> None:
    assert repr(LISTED.context(captured(tenant=value)).run(tenant.get)) == repr(value)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (object(), "of type builtins.object"),
        ((1, 2), "of type builtins.tuple"),
        (b"raw", "of type builtins.bytes"),
        (Colour.RED, "Colour"),
        ({"a": [1, {2}]}, "of type builtins.set"),
        ({1: "a"}, "a key of type int"),
        ({Colour.RED: "a"}, "a key of type Colour"),
        ("\ud800", "lone surrogate"),
        ("x" * MOST, "more than 4096 bytes"),
        ("é" * (MOST // 2), "more than 4096 bytes"),
        (10**5000, "more than 4096 bytes"),
        ([0] * 1_000_000, "more than 4096 bytes"),
        ([[0] * 3000, [0] * 3000], "more than 4096 bytes"),
    ],
    ids=range(13),
)
def test_what_would_not_come_back_is_refused_by_name(value: Any, told: str) -> None:
    message = refusal(request_id="r", tenant=value)
    assert told in message
    assert "tenant" in message


def test_a_value_that_holds_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert f"more than {DEEPEST} levels" in refusal(tenant=circle)


def test_values_that_fit_alone_and_not_together() -> None:
    assert "'tenant'" in refusal(request_id="x" * 2000, tenant="x" * 2100)


def test_the_largest_that_fits() -> None:
    rest = len('{"tenant":""}')
    text = captured(tenant="x" * (MOST - rest))
    assert text is not None
    assert len(text) == MOST


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '"a"', "null", "[" * 10_000, "{'a': 1}"])
def test_broken_text_is_left_out(text: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "postlude")
    assert seen(LISTED.context(text)) == {}
    assert LISTED.values(text) == {}
    assert "left out" in caplog.text


def test_names_that_are_not_listed_any_more_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "postlude")
    text = '{"tenant":"acme","locale":"fr"}'
    assert seen(LISTED.context(text)) == {"tenant": "acme"}
    assert "'locale'" in caplog.text
    assert LISTED.values(text) == {"tenant": "acme", "locale": "fr"}


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (["request_id"], "'request_id' is no context variable"),
        ("request_id", "give a list"),
        (request_id, "give a list"),
        (None, "give a list"),
        ([request_id.get], "is no context variable"),
        ([tenant, ContextVar("tenant")], "two variables have the name 'tenant'"),
        ([tenant, tenant], "two variables have the name 'tenant'"),
    ],
)
def test_a_mistaken_list_is_told_at_once(variables: Any, told: str) -> None:
    with pytest.raises(ValueError, match="context=") as caught:
        Carried(cast("list[ContextVar[Any]]", variables))
    assert told in str(caught.value)


def test_any_iterable_is_taken() -> None:
    assert captured(Carried(iter([tenant])), tenant="acme", request_id="r") == '{"tenant":"acme"}'
