"""The bytes that are in users' journals: each must be written, and be read, in the same way for ever.

`golden/payloads.json` maps a name to the payload. If a change of pydantic or of the codec breaks a
test here, the codec must go on reading the old form; a new form needs a new codec byte.
"""

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from postlude.tasks.codec.codec import Codec
from postlude.tasks.codec.payload import Limits
from tests.tasks import sample
from tests.tasks.sameness import fingerprint

GOLDEN: dict[str, str] = json.loads((Path(__file__).parent / "golden" / "payloads.json").read_text("utf-8"))
LIMITS = Limits(payload=1024 * 1024, depth=100)
PARIS_IN_WINTER = timezone(timedelta(hours=1))
ORDER = sample.Order(id=UUID(int=1), lines=[sample.Line(Product="tea", price=float("inf"))])

CASES: dict[str, tuple[Any, Any]] = {
    "floats": (list[float], [0.1, -0.0, 1e16, 1e22, 1e-7, 5e-324, 1.7976931348623157e308]),
    "float without annotation": (Any, 1e16),
    "int for float": (float, 1),
    "non-finite": (list[float], [float("inf"), float("-inf")]),
    "NaN": (float, float("nan")),
    "2**70": (int, 2**70),
    "text": (str, 'é \U0001f600 \0 " \\ / \u2028'),
    "bytes": (bytes, b"\x00\xff\xfe~?"),
    "bytes inside": (dict[str, bytes | None], {"a": b"\xfb", "b": None}),
    "Decimal": (list[Decimal], [Decimal("1.10"), Decimal("-0"), Decimal("1E+5"), Decimal("1E-30")]),
    "datetime": (datetime, datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)),
    "datetime with offset": (datetime, datetime(2026, 1, 2, 3, 4, 5, tzinfo=PARIS_IN_WINTER)),
    "datetime, naive": (datetime, datetime(2026, 1, 2, 3, 4, 5)),  # noqa: DTZ001
    "date": (date, date(2026, 1, 2)),
    "time": (time, time(3, 4, 5, 678901)),
    "timedelta": (list[timedelta], [timedelta(days=2, microseconds=1), timedelta(microseconds=-1)]),
    "UUID": (UUID, UUID(int=2**127 + 1)),
    "Path": (Path, Path("/srv/é")),
    "enums": (
        tuple[sample.Colour, sample.Size, sample.Level],
        (sample.Colour.RED, sample.Size.SMALL, sample.Level.LOW),
    ),
    "set of one": (set[int], {1}),
    "int keys": (dict[int, str], {1: "a", -2: "b"}),
    "dataclass": (sample.Tree, sample.Tree(1, [sample.Tree(2)])),
    "named tuple": (sample.Point, sample.Point(1, 2.0)),
    "TypedDict": (sample.Options, {"deep": True}),
    "model with unset fields": (sample.Order, ORDER),
}


def codec_of(name: str) -> Codec:
    return Codec(name, sample.taking(CASES[name][0]), LIMITS)


def test_every_golden_payload_has_a_case() -> None:
    assert GOLDEN.keys() == CASES.keys() | {"unnamed"}


@pytest.mark.parametrize("name", CASES)
def test_payloads_are_written_as_ever(name: str) -> None:
    # Older pydantic (2.12, say) writes 1e16 for 1e+16, the same number.
    written = codec_of(name).encode((CASES[name][1],), {}).payload.decode()
    assert written in {GOLDEN[name], GOLDEN[name].replace("e+", "e")}


@pytest.mark.parametrize("name", CASES)
def test_payloads_are_read_as_ever(name: str) -> None:
    back = codec_of(name).decode(GOLDEN[name].encode())[1]["value"]
    assert fingerprint(back) == fingerprint(CASES[name][1])


def test_unnamed_arguments_are_written_and_read_as_ever() -> None:
    codec = Codec("unnamed", sample.variadic, LIMITS)
    args, kwargs = (1, Decimal("1.0"), Decimal(2)), {"c": sample.Colour.BLUE, "until": date(2026, 1, 2)}
    assert codec.encode(args, kwargs).payload.decode() == GOLDEN["unnamed"]
    assert codec.decode(GOLDEN["unnamed"].encode()) == (args, kwargs)
