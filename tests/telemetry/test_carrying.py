"""What travels of traces: within its room, beside an application's own values, and at nobody's cost."""

import json
import logging
from collections.abc import Mapping, Sequence
from contextvars import ContextVar

import pytest

from postlude import Postlude
from postlude.tasks.context import MOST, Carried
from postlude.telemetry.carrying import CARRIED, Leaving, arrived, trace_id, traces_in
from tests.app import work
from tests.app.serving import serving

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_it_stands_beside_the_applications_values_and_comes_back() -> None:
    tenant: ContextVar[str] = ContextVar("tenant")
    carried = Carried([tenant])
    text = carried.leaving('{"tenant":"acme"}', {"traceparent": PARENT})
    assert text is not None
    assert json.loads(text) == {"tenant": "acme", "traceparent": PARENT}
    context = carried.context(text)
    assert context[tenant] == "acme"
    assert context[CARRIED] == {"traceparent": PARENT}


def test_where_nothing_travels_nothing_is_carried() -> None:
    assert CARRIED not in Carried().context('{"odd":1}')
    assert CARRIED.get() == {}


@pytest.mark.parametrize(
    ("own", "left"), [(10, ["traceparent", "tracestate"]), (MOST - 300, ["traceparent"]), (MOST - 20, [])]
)
def test_what_has_no_room_is_left_out_and_the_longest_first(own: int, left: list[str]) -> None:
    before = json.dumps({"own": "x" * own})
    text = Carried().leaving(before, {"traceparent": PARENT, "tracestate": "v=" + "y" * 400})
    assert text is not None
    assert len(text) <= MOST
    assert [name for name in json.loads(text) if name != "own"] == left


def test_a_variable_of_that_name_is_the_applications() -> None:
    own: ContextVar[str] = ContextVar("traceparent")
    assert Carried([own]).leaving('{"traceparent":"mine"}', {"traceparent": PARENT}) == (
        '{"traceparent":"mine"}'
    )


def test_the_number_of_a_trace() -> None:
    assert trace_id(PARENT) == "0af7651916cd43dd8448eb211c80319c"
    assert [trace_id(odd) for odd in (None, "", "odd", "a-b")] == [""] * 4


def test_the_traces_in_what_is_stored() -> None:
    stored = f'{{"tenant":"acme","traceparent":"{PARENT}","tracelater":"9"}}'
    assert traces_in(stored) == {"traceparent": PARENT}
    assert [traces_in(damaged) for damaged in ("", "{", "[1]", '{"traceparent":7}')] == [{}] * 4


class Breaks:
    def leave(self, jobs: Sequence[Leaving], together: bool) -> Sequence[Mapping[str, str]]:
        raise ValueError("no collector")

    def arrive(self) -> None:
        raise ValueError("no collector")


def test_one_that_fails_where_a_job_runs_harms_no_job(caplog: pytest.LogCaptureFixture) -> None:
    arrived(Breaks())
    (record,) = caplog.records
    assert "does not arrive" in record.getMessage()


@pytest.mark.anyio
async def test_a_carrier_that_fails_keeps_no_job_from_being_added(caplog: pytest.LogCaptureFixture) -> None:
    postlude = Postlude(store="memory", packages=["tests"])
    postlude.components.execution.carried.carriers = (Breaks(),)
    async with serving(postlude):
        await postlude.add_task(work.note, "added")
        await postlude.components.producer.runners[0].idle()
    assert "added" in work.LOG
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "does not travel with 1 jobs" in record.getMessage()
