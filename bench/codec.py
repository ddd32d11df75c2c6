"""What writing and restoring one job's arguments costs: `python bench/codec.py`.

Each row is the best of several repeats, in microseconds: on a busy machine the others measure the
machine.
"""

import timeit
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from postlude.tasks.codec.codec import Codec
from postlude.tasks.codec.payload import Limits

LIMITS = Limits(payload=1024 * 1024, depth=100)


class Line(BaseModel):
    product: str
    amount: int


class Order(BaseModel):
    id: int
    lines: list[Line]


@dataclass
class Address:
    street: str
    town: str


def nothing() -> None: ...
def one(number: int) -> None: ...
def text(body: str) -> None: ...
def receipt(order: int, to: str, tenant: str) -> None: ...
def eight(a: int, b: int, c: str, d: str, e: float, f: bool, g: str, h: str) -> None: ...
def unannotated(a, b): ...  # type: ignore[no-untyped-def]
def optional(a: int | None, b: str | None = None) -> None: ...
def free_list(values): ...  # type: ignore[no-untyped-def]
def whole(values: list[int]) -> None: ...
def model(order: Order) -> None: ...
def mixed(key: UUID, when: datetime, where: Address) -> None: ...


ORDER = Order(id=1, lines=[Line(product="tea", amount=2), Line(product="cup", amount=1)])
CASES: list[tuple[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = [
    ("no arguments", nothing, (), {}),
    ("one int", one, (7,), {}),
    ("int, 2 str", receipt, (7,), {"to": "ada@example.org", "tenant": "acme"}),
    ("8 scalars", eight, (1, 2, "three", "four", 5.5, True, "seven", "eight"), {}),
    ("2 unannotated", unannotated, (1, "two"), {}),
    ("2 optional", optional, (1, None), {}),
    ("str of 1 KB", text, ("x" * 1024,), {}),
    ("list of 1,000, unannotated", free_list, (list(range(1000)),), {}),
    ("list[int] of 1,000", whole, (list(range(1000)),), {}),
    ("model with 2 models", model, (ORDER,), {}),
    (
        "UUID, datetime, dataclass",
        mixed,
        (UUID(int=7), datetime(2026, 1, 2, tzinfo=UTC), Address("a", "b")),
        {},
    ),
]


def microseconds(call: Callable[[], object]) -> float:
    """Return the least time of one call."""
    number = max(1, timeit.Timer(call).autorange()[0] // 20)
    return min(timeit.repeat(call, number=number, repeat=60)) / number * 1e6


def main() -> None:
    """Print the table."""
    print(f"{'arguments':30} {'bytes':>7} {'encode µs':>10} {'decode µs':>10}")
    for label, function, args, kwargs in CASES:
        codec = Codec(label, function, LIMITS)
        payload = codec.encode(args, kwargs).payload
        encode = microseconds(lambda c=codec, a=args, k=kwargs: c.encode(a, k))  # type: ignore[misc]
        decode = microseconds(lambda c=codec, p=payload: c.decode(p))  # type: ignore[misc]
        print(f"{label:30} {len(payload):7} {encode:10.2f} {decode:10.2f}")


if __name__ == "__main__":
    main()
