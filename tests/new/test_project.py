"""Names of projects: what follows from them, and those that are refused."""

from importlib.metadata import version

import pytest

from postlude.new import project as module
from postlude.new.project import CannotMake, Project, Variant


def test_what_follows_from_a_name() -> None:
    project = Project("web-shop", Variant.POSTGRES_REDIS)
    assert project.package == "web_shop"
    assert project.values["prefix"] == "WEB_SHOP"
    assert project.values["extras"] == "celery,cli,dashboard,fastapi,postgres"
    assert project.values["version"] == version("postlude")


@pytest.mark.parametrize(
    ("variant", "postgres", "broker"),
    [
        (Variant.SQLITE, False, ""),
        (Variant.POSTGRES, True, ""),
        (Variant.POSTGRES_RABBITMQ, True, "rabbitmq"),
        (Variant.POSTGRES_REDIS, True, "redis"),
    ],
)
def test_what_a_variant_has(variant: Variant, postgres: bool, broker: str) -> None:
    assert (variant.postgres, variant.broker) == (postgres, broker)


@pytest.mark.parametrize("name", ["shop", "web-shop", "web_shop2", "a", "a" * 24])
def test_these_are_names(name: str) -> None:
    Project(name, Variant.SQLITE)


@pytest.mark.parametrize("name", ["celery", "json"])
def test_names_are_taken_also_where_nothing_has_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(CannotMake, match="hide another"):
        Project(name, Variant.SQLITE)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "small letters"),
        ("Shop", "small letters"),
        ("2shop", "small letters"),
        ("shop-", "small letters"),
        ("shop--web", "small letters"),
        ("../shop", "small letters"),
        ("shop/web", "small letters"),
        ("shop web", "small letters"),
        ("größe", "small letters"),
        ("shop\n", "small letters"),
        ("a" * 25, "at most 24"),
        ("class", "Python's own"),
        ("json", "hide another"),
        ("fastapi", "hide another"),
        ("pydantic-settings", "hide another"),
        ("celery", "hide another"),
        ("hypothesis", "hide another"),  # installed here, and unknown to us
        ("tests", "a folder in the project"),
        ("deploy", "a folder in the project"),
    ],
)
def test_these_are_refused(name: str, reason: str) -> None:
    with pytest.raises(CannotMake, match=reason):
        Project(name, Variant.SQLITE)
