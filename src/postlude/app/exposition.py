"""Metrics as Prometheus' text format has them, version 0.0.4."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]


class Metric(NamedTuple):
    """One metric, and its value for each of its labels' values."""

    name: str
    kind: str
    help: str
    values: Sequence[tuple[Labels, float]]


class Measured(NamedTuple):
    """What a histogram has for one of its labels' values."""

    counts: Sequence[int]
    """How many were in each bucket; one more than there are bounds: what is above all of them."""
    total: float
    """Their sum."""


class Histogram(NamedTuple):
    """A histogram: how many were how large."""

    name: str
    help: str
    bounds: Sequence[float]
    """The upper bound of each bucket."""
    values: Sequence[tuple[Labels, Measured]]


def text_of(metrics: Iterable[Metric | Histogram]) -> str:
    """Return metrics as text."""
    return "".join(_lines(metrics))


def _lines(metrics: Iterable[Metric | Histogram]) -> Iterator[str]:
    for metric in metrics:
        if isinstance(metric, Metric):
            yield _head(metric.name, metric.kind, metric.help)
            for labels, value in metric.values:
                yield _line(metric.name, labels, value)
        else:
            yield _head(metric.name, "histogram", metric.help)
            for labels, measured in metric.values:
                yield from _buckets(metric, labels, measured)


def _buckets(metric: Histogram, labels: Labels, measured: Measured) -> Iterator[str]:
    bounds = [*map(str, metric.bounds), "+Inf"]
    up_to = list(accumulate(measured.counts))
    for bound, number in zip(bounds, up_to, strict=True):
        yield _line(f"{metric.name}_bucket", {**labels, "le": bound}, number)
    yield _line(metric.name + "_sum", labels, measured.total)
    yield _line(f"{metric.name}_count", labels, up_to[-1])


def _head(name: str, kind: str, text: str) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _line(name: str, labels: Labels, value: float) -> str:
    inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{inner}}} {value}\n"


def _escaped(text: Any) -> str:
    return str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
