"""The dashboard for Grafana and the alerts for Prometheus ask for metrics that there are."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from postlude.app.exposition import Histogram
from postlude.app.measures import MEASURES, Measures, metrics_of
from postlude.model.counted import MEMORY_ONLY, Counted
from postlude.model.history import RUN_BUCKETS, WAIT_BUCKETS, Sum
from postlude.model.queues import ALL
from postlude.stores.scheduling import ScheduleRecord, ScheduleTime
from postlude.stores.values import Kind, LivingRunner, QueueState, Totals
from postlude.testing.conformance.schedules import schedule

FOLDER = Path(__file__).parents[2] / "docs" / "monitoring"
DASHBOARD = json.loads((FOLDER / "grafana.json").read_text("utf-8"))
ALERTS = yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))

TOLD = metrics_of(
    Measures(
        totals=[Totals("t", "q", 1, 1, 0, 0)],
        ever=[Sum(0, "t", "q", "succeeded", 1, 1, 1, (1,) * RUN_BUCKETS, (1,) * WAIT_BUCKETS)],
        queues=[QueueState("q", False, 0, 0, 0, 0, 0, None)],
        living=[LivingRunner(1, Kind.APP, "r1", ALL, 1, None)],
        counted=[Counted(MEMORY_ONLY, "t", 1)],
        schedules=[
            ScheduleRecord(schedule("s"), "shop", None, None, ScheduleTime(1, True, None, None)),
        ],
        size=1,
        outbox=1,
        slots={"thread": (1, 1)},
    )
)
LABELS = {metric.name: {label for labels, _ in metric.values for label in labels} for metric in TOLD}
HISTOGRAMS = {metric.name for metric in TOLD if isinstance(metric, Histogram)}
LABELS |= {
    f"{name}{suffix}": LABELS[name] | ({"le"} if suffix == "_bucket" else set())
    for name in HISTOGRAMS
    for suffix in ("_bucket", "_sum", "_count")
}
STATES = {labels["state"] for metric in TOLD for labels, _ in metric.values if "state" in labels}

OF_ONE_PROCESS = {one.exposed for one in MEASURES[-3:]}


def rules() -> list[dict[str, Any]]:
    (group,) = ALERTS["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def expressions() -> Iterator[str]:
    yield from (target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])
    yield from (rule["expr"] for rule in rules())


@pytest.mark.parametrize("expression", list(expressions()))
def test_what_is_asked_for_is_told(expression: str) -> None:
    names = re.findall(r"postlude_\w+", expression)
    assert names
    labels = set.intersection(*(LABELS[name] for name in names))
    asked = re.findall(r"by \(([\w, ]+)\)", expression) + re.findall(r"\{(\w+)=", expression)
    assert {name for group in asked for name in group.split(", ")} <= labels
    assert set(re.findall(r'state="(\w+)"', expression)) <= STATES
    for kinds in re.findall(r'kind=~"([\w|]+)"', expression):
        assert set(kinds.split("|")) <= set(Kind)


def test_no_sum_is_over_processes_that_all_tell_the_same() -> None:
    for expression in expressions():
        before = re.findall(r"(\w+)(?: by \([\w, ]+\))? ?\((?:rate|increase)?\(?postlude_", expression)
        one_process = OF_ONE_PROCESS.issuperset(re.findall(r"postlude_\w+", expression))
        assert set(before) <= ({"sum"} if one_process else {"max"}), expression


def test_there_are_five_alerts_and_each_says_what_is_wrong() -> None:
    assert len(rules()) == 5
    for rule in rules():
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_each_metric_is_on_the_dashboard() -> None:
    named = {
        name
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
        for name in re.findall(r"postlude_\w+", target["expr"])
    }
    measured = {name.removesuffix("_bucket").removesuffix("_sum") for name in named}
    assert measured == {metric.name for metric in TOLD}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
