"""What one call sets of its policy, as it is stored: what comes back, and what garbage is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlude.model.overrides import UNBOUNDED, Opts, from_now, lifted, read_opts
from postlude.model.retry import Exponential, Fixed, Linear, Retry
from postlude.model.wait import LONGEST

seconds = st.floats(0, LONGEST) | st.integers(0, int(LONGEST))
moments = st.integers(0, 2**62)
backoffs = (
    st.builds(Exponential, seconds, seconds, st.booleans())
    | st.builds(Linear, seconds, seconds, seconds, st.booleans())
    | st.builds(Fixed, seconds, st.booleans())
)
every = st.builds(
    Opts,
    timeout=st.none() | seconds,
    expires=st.none() | moments,
    deadline=st.none() | moments,
    attempts=st.none() | st.integers(1, 10**9),
    backoff=st.none() | backoffs,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("txdnbe"), inner),
    max_leaves=10,
)
documents = json_values | st.dictionaries(st.sampled_from("txdnb"), json_values)


@given(every)
def test_what_is_stored_comes_back(opts: Opts) -> None:
    assert read_opts(opts.text()) == opts


def test_nothing_set_is_nothing_stored() -> None:
    assert Opts().text() is None
    assert read_opts(None) == read_opts("") == Opts()


def test_it_is_short() -> None:
    opts = Opts(1.5, 2, 3, 4, Linear(1, 2, 3, False))
    assert opts.text() == '{"t":1.5,"x":2,"d":3,"n":4,"b":["l",1,2,3,false]}'
    assert Opts(backoff=Exponential(1, 2)).text() == '{"b":["e",1,2,true]}'
    assert Opts(backoff=Fixed(9)).text() == '{"b":["f",9,false]}'


@given(documents)
def test_whatever_is_there_can_be_used(document: Any) -> None:
    opts = read_opts(json.dumps(document))
    opts.over(Retry())
    assert opts.timeout is None or 0 <= opts.timeout < float("inf")
    assert {type(opts.expires), type(opts.deadline), type(opts.attempts)} <= {int, type(None)}
    assert read_opts(opts.text()) == opts


@given(st.text())
def test_what_is_no_document_is_nothing(text: str) -> None:
    read_opts(text).over(Retry())
    assert read_opts(text + "\x00") == Opts()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "null",
        "7",
        '["t"]',
        '{"t":"30"}',
        '{"t":-1}',
        '{"t":NaN}',
        '{"t":Infinity}',
        '{"t":true}',
        '{"x":1.5}',
        '{"d":"soon"}',
        '{"n":0}',
        '{"n":-1}',
        '{"n":"3"}',
        '{"n":true}',
        '{"b":["z",1]}',
        '{"b":[]}',
        '{"b":{}}',
        '{"b":7}',
        '{"b":[["e"]]}',
        '{"b":["e","1"]}',
        '{"b":["e",-1]}',
        '{"b":["f",1,2,3,4]}',
    ],
)
def test_garbage_is_nothing(text: str) -> None:
    assert read_opts(text) == Opts()


def test_what_is_not_understood_hides_nothing_else() -> None:
    assert read_opts('{"t":5,"n":3,"b":["of a later release"],"later":1}') == Opts(timeout=5, attempts=3)


def test_a_call_sets_of_a_retry_what_it_has_set() -> None:
    retry = Retry(5, Fixed(1), on=OSError, unless=FileNotFoundError)
    assert Opts(timeout=1, expires=2).over(retry) is retry
    assert Opts(attempts=2).over(retry) == Retry(2, Fixed(1), OSError, FileNotFoundError)
    assert Opts(backoff=Fixed(9)).over(retry) == Retry(5, Fixed(9), OSError, FileNotFoundError)


def test_a_job_that_is_retried_by_hand_is_bound_by_no_time() -> None:
    """Not by what its task declares either: it was added long ago."""
    unbounded = Opts(expires=UNBOUNDED, deadline=UNBOUNDED).text()
    assert lifted(None) == lifted("garbage") == unbounded
    assert lifted(Opts(7, 1, 2, 3, Fixed(4)).text()) == Opts(7, UNBOUNDED, UNBOUNDED, 3, Fixed(4)).text()


def test_from_now() -> None:
    assert from_now(1.5, 10) == 1_500_010
