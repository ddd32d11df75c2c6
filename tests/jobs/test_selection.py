"""One line of text says which jobs are meant."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlude.jobs.selection import ONCE, BadSelection, Selection, parse
from postlude.model.state import State

NOW = datetime(2026, 11, 29, 8, 5, tzinfo=UTC)
TASKS = ["shop.mail:send_receipt", "shop.mail:send_welcome", "shop.other:send_welcome"]


def test_words() -> None:
    found = parse(
        'state:failed,cancelled task:send_receipt tenant:acme key:receipt:7 error:"no answer" since:2h'
    )
    assert found == Selection(
        states=(State.FAILED, State.CANCELLED),
        task="send_receipt",
        key="receipt:7",
        error="no answer",
        since="2h",
        arguments=(("tenant", "acme"),),
    )
    wanted = found.resolved(TASKS).filter(NOW)
    assert wanted.task == "shop.mail:send_receipt"
    assert wanted.since == (int(NOW.timestamp()) - 7200) * 1_000_000
    assert wanted.arguments == (("tenant", "acme"),)


@pytest.mark.parametrize(
    "word, field, value",
    [
        ("send_receipt", "task", "shop.mail:send_receipt"),
        ("shop.mail:send_welcome", "task", "shop.mail:send_welcome"),
        ("01a22656", "id", "01a22656"),
        ("receipt-7", "key", "receipt-7"),
    ],
)
def test_a_bare_word_is_a_task_an_id_or_a_key(word: str, field: str, value: str) -> None:
    text = f'"{word}"' if ":" in word else word
    assert getattr(parse(text).resolved(TASKS), field) == value


@pytest.mark.parametrize(
    "text, told",
    [
        ('error:"no', "quotation mark"),
        ("state:bogus", "bogus"),
        ("a b", "two words without a name"),
        ("queue:a queue:b", "queue: is said twice"),
    ],
)
def test_what_cannot_be_meant_is_said(text: str, told: str) -> None:
    with pytest.raises(BadSelection, match=told):
        parse(text)


def test_a_time_that_is_none() -> None:
    with pytest.raises(BadSelection, match="since"):
        parse("since:yesterday").filter(NOW)


def test_arguments_that_are_called_like_words_of_the_filter() -> None:
    found = parse("arg.key:7 arg.state:new tenant:acme key:8")
    assert found.arguments == (("key", "7"), ("state", "new"), ("tenant", "acme"))
    assert found.key == "8"
    assert found.words() == "key:8 arg.key:7 arg.state:new tenant:acme"


def test_one_word_can_be_taken_away() -> None:
    assert parse("state:failed queue:mail tenant:acme").without("tenant").words() == "state:failed queue:mail"


words = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: text == text.strip())
fields = {name: st.none() | words for name in (*ONCE, "id")}
names = words


@given(
    st.builds(
        Selection,
        states=st.lists(st.sampled_from(State), unique=True).map(tuple),
        arguments=st.lists(st.tuples(names, words), max_size=3).map(tuple),
        bare=st.none() | words,
        **fields,
    )
)
def test_what_is_written_is_read_again(selection: Selection) -> None:
    assert parse(selection.words()) == selection
