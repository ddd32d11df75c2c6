"""A project's name and its variant, and what follows from them."""

import json
import keyword
import re
import sys
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import distribution, version
from importlib.util import find_spec
from typing import Final

from postlude.errors import PostludeError
from postlude.messages.quoting import quoted

LONGEST: Final = 24
"""Characters of a name: lines of the templates fit with one as long."""

_NEEDED: Final = frozenset({
    "aiosqlite", "anyio", "apsw", "billiard", "celery", "cronsim", "dotenv", "fastapi", "greenlet",
    "h11", "httpx", "httpx2", "idna", "jinja2", "kombu", "mypy", "postlude", "psycopg", "pydantic",
    "pydantic_settings", "pytest", "redis", "rich", "ruff", "sqlalchemy", "starlette", "typer",
    "typing_extensions", "uvicorn", "vine",
})  # fmt: skip
"""What a project imports, directly or not, whether it is installed here or not."""

_FOLDERS: Final = frozenset({"tests", "deploy"})


class CannotMake(PostludeError):
    """A project cannot be made, or a file cannot be changed, as it was asked for."""


class Variant(StrEnum):
    """Where a project's jobs are kept, and what carries those of its reports."""

    SQLITE = "sqlite"
    POSTGRES = "postgres"
    POSTGRES_RABBITMQ = "postgres-rabbitmq"
    POSTGRES_REDIS = "postgres-redis"

    @property
    def postgres(self) -> bool:
        """Whether data and jobs are in PostgreSQL."""
        return self is not Variant.SQLITE

    @property
    def broker(self) -> str:
        """The broker of its Celery; empty if it has none."""
        return self.partition("-")[2]


@dataclass(frozen=True, slots=True)
class Project:
    """A project that is to be made.

    Args:
        name: of its folder and its distribution: `shop`, `web-shop`.
        variant: where its jobs are kept.

    Raises:
        CannotMake: the name cannot be that of a package, or would hide another.
    """

    name: str
    variant: Variant

    def __post_init__(self) -> None:
        name = self.name
        if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name) or len(name) > LONGEST:
            raise CannotMake(
                f"name {quoted(name)}: give at most {LONGEST} small letters, digits, `-` and `_` in between, "
                "a letter first, such as shop"
            )
        if keyword.iskeyword(self.package):
            raise CannotMake(f"name {quoted(name)} is a word of Python's own: choose another")
        if self.package in _FOLDERS:
            raise CannotMake(f"name {quoted(name)} is that of a folder in the project: choose another")
        if self.package in sys.stdlib_module_names or self.package in _NEEDED or find_spec(self.package):
            raise CannotMake(
                f"name {quoted(name)}: the package {self.package} would hide another one of that name; "
                "choose another"
            )

    @property
    def package(self) -> str:
        """The name of its package."""
        return self.name.replace("-", "_")

    @property
    def values(self) -> dict[str, str | bool]:
        """What its templates are filled with."""
        extras = ["cli", "dashboard", "fastapi"]
        if self.variant.postgres:
            extras.append("postgres")
        if self.variant.broker:
            extras.append("celery")
        return {
            "name": self.name,
            "package": self.package,
            "prefix": self.package.upper(),
            "postgres": self.variant.postgres,
            "broker": self.variant.broker,
            "extras": ",".join(sorted(extras)),
            "version": version("postlude"),
            "source": source(),
        }


def source() -> str:
    """Return where pip has Postlude from, as pip takes it; empty: from a package index."""
    noted = distribution("postlude").read_text("direct_url.json")
    if noted is None:
        return ""
    origin = json.loads(noted)
    if "vcs_info" in origin:
        return f"{origin['vcs_info']['vcs']}+{origin['url']}@{origin['vcs_info']['commit_id']}"
    return str(origin["url"])
