"""Functions and types for the tests of tasks, at module level because that is where tasks live."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NotRequired,
    ParamSpec,
    TypeVar,
)
from uuid import UUID, uuid4

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    StringConstraints,
    computed_field,
)
from typing_extensions import TypedDict

if TYPE_CHECKING:
    from somewhere import Absent  # type: ignore[import-not-found]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Colour(Enum):
    RED = "r"
    BLUE = "b"


class Size(StrEnum):
    SMALL = "s"


class Level(IntEnum):
    LOW = 1


class Line(BaseModel):
    model_config = ConfigDict(extra="forbid")

    product: str = Field(alias="Product")
    amount: int = 1
    price: float = 1.0

    @computed_field  # type: ignore[prop-decorator]
    @property
    def total(self) -> float:
        return self.amount * self.price


class Order(BaseModel):
    id: UUID = Field(default_factory=uuid4)
    lines: list[Line] = []
    note: str | None = None
    secret: SecretStr | None = None


class RushOrder(Order):
    by: date = date(2026, 1, 1)


def with_surprise() -> Order:
    order = Order()
    order.__dict__["surprise"] = 1
    return order


def without_note() -> Order:
    order = Order()
    del order.__dict__["note"]
    return order


class Page(BaseModel, Generic[T]):
    items: list[T]


@dataclass(frozen=True, slots=True)
class Tree:
    value: int
    children: list[Tree] = field(default_factory=list)


class Point(NamedTuple):
    x: int
    y: float


class Options(TypedDict):
    deep: bool
    level: NotRequired[int]


def send(order: int, to: str, tenant: str = "none") -> None: ...
async def send_later(order: int, *, to: str) -> str:
    return f"{order} {to}"


def free(value, other=None): ...  # type: ignore[no-untyped-def]
def scalars(a: int, b: float, c: str, d: bool, e: None, f: str | None = None) -> None: ...
def variadic(a: int, /, b: Decimal, *rest: Decimal, c: Colour = Colour.RED, **more: date) -> None: ...
def only_rest(first: int, *rest: int) -> None: ...
def implicit(value: str = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013
def absent(value: Absent, other: int = 0) -> None: ...
def stripped(value: Annotated[str, StringConstraints(strip_whitespace=True)]) -> None: ...
def allowed(value: Annotated[SecretStr, PlainSerializer(lambda s: s.get_secret_value())]) -> None: ...


TYPES: dict[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "bytes": bytes,
    "Decimal": Decimal,
    "datetime": datetime,
    "date": date,
    "time": time,
    "timedelta": timedelta,
    "UUID": UUID,
    "Path": Path,
    "Colour": Colour,
    "Size": Size,
    "Level": Level,
    "Literal": Literal["a", 1, None],
    "tuple": tuple[int, str],
    "tuple...": tuple[Decimal, ...],
    "set": set[UUID],
    "frozenset": frozenset[str],
    "list[float]": list[float],
    "dict[int, bytes]": dict[int, bytes],
    "dict[str, Any]": dict[str, Any],
    "Tree": Tree,
    "Point": Point,
    "Options": Options,
    "Line": Line,
    "Order": Order,
    "Page[Line]": Page[Line],
    "union": UUID | str | None,
    "nested": dict[str, list[tuple[date, Colour] | Line]],
}


def taking(annotation: Any) -> Callable[..., None]:
    """Return a function with one parameter, `value`, of this type."""

    def take(value: Any) -> None: ...

    take.__annotations__ = {"value": annotation}
    return take


def wrapping(function: Callable[P, R]) -> Callable[P, R]:
    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    return wrapper


def adding(function: Callable[..., R]) -> Callable[[int], R]:
    @functools.wraps(function)
    def wrapper(value: int) -> R:
        return function("session", value)

    return wrapper


@wrapping
def wrapped(value: int) -> int:
    return value


@adding
def with_session(session: str, value: int) -> str:
    return f"{session} {value}"


class Mail:
    @staticmethod
    def static(to: str) -> str:
        return to

    @classmethod
    def of_class(cls, to: str) -> str:
        return f"{cls.__name__} {to}"

    def of_object(self, to: str) -> str:
        return to

    def __call__(self, to: str) -> str:
        return to

    @property
    def trap(self) -> None:
        raise AssertionError("a property was run")


class UrgentMail(Mail): ...


shout = lambda text: text.upper()  # noqa: E731
mail = Mail()
cached = functools.lru_cache(send)
other_name = send
