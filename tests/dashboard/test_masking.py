"""Secrets are taken out of what is shown."""

import pytest
from pydantic import BaseModel, SecretStr

from postlude import Postlude
from postlude.dashboard.masking import MASK, Called, Masker, masker_of
from postlude.jobs.inspector import Arguments


class Card(BaseModel):
    number: SecretStr
    holder: str


async def charge(card: Card, amount: int, note: SecretStr | None = None) -> None: ...


@pytest.mark.parametrize(
    "name",
    ["password", "API_KEY", "api-key", "user_password", "stripe_token", "clientSecret"],
)
def test_names_that_are_secret(name: str) -> None:
    assert Masker().value({name: "hunter22"}) == {name: MASK}


@pytest.mark.parametrize("name", ["path", "author", "tokens_used", "order", "pinned"])
def test_names_that_are_not(name: str) -> None:
    assert Masker().value({name: "hunter22"}) == {name: "hunter22"}


def test_what_is_annotated_as_secret_is_secret() -> None:
    postlude = Postlude(store="memory", packages=["tests"])
    task = postlude.task(charge)
    masker, parameters = masker_of(postlude.components.registry, task.name)
    assert parameters == ["card", "amount", "note"]
    given = Arguments(positional=[{"number": "4111-1111", "holder": "Ada"}, 5], named={"note": "psst!"})
    assert Called(given, parameters, masker).named == [
        ("card", {"number": MASK, "holder": "Ada"}),
        ("amount", 5),
        ("note", MASK),
    ]
    assert masker.text("4111-1111 was refused: psst!") == f"{MASK} was refused: {MASK}"


def test_a_secret_is_masked_also_where_it_stands_before() -> None:
    given = Arguments(positional=[], named={"url": "https://x/?k=hunter22", "password": "hunter22"})
    assert Called(given, [], Masker()).named == [("url", f"https://x/?k={MASK}"), ("password", MASK)]


def test_passwords_of_addresses() -> None:
    assert Masker().text("cannot connect to postgresql://shop:hunter2@db/x") == (
        f"cannot connect to postgresql://shop:{MASK}@db/x"
    )


def test_a_task_that_nobody_knows_has_the_usual_names() -> None:
    masker, parameters = masker_of(Postlude(store="memory").components.registry, "gone:task")
    assert (parameters, masker.hides("password")) == ([], True)
