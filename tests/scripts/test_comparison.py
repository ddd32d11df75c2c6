"""docs/comparison.md is what its script makes of the stored measurements, and its sums are right."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from bench.peers import record
from bench.peers.figures import Outcome, Summary, times
from bench.peers.page import PAGE, PARTS, PLOT, RESULTS, became, page, plot
from bench.peers.systems import BY_NAME, SYSTEMS

RESULT: dict[str, Any] = json.loads(RESULTS.read_text("utf-8"))
REQUIREMENTS = Path(__file__).parents[2] / "requirements" / "peers"


def test_the_page_is_what_the_script_makes_of_the_stored_results() -> None:
    assert PAGE.read_text("utf-8") == page(PAGE.read_text("utf-8"), RESULT), "run python -m bench.peers.page"


def test_so_is_the_plot() -> None:
    assert PLOT.read_text("utf-8") == plot(RESULT), "run python -m bench.peers.page"


def test_each_system_stands_on_the_page_or_is_named_as_missing() -> None:
    text = PAGE.read_text("utf-8")
    for system in SYSTEMS:
        assert system.name in RESULT["versions"] or system.name in RESULT["missing"], system.name
        assert system.title in text


def test_the_results_name_no_host_and_no_path() -> None:
    text = RESULTS.read_text("utf-8")
    assert "/work" not in text
    assert "/home" not in text
    assert "/root" not in text


def test_a_page_without_a_place_for_a_part_is_refused() -> None:
    text = PAGE.read_text("utf-8").replace("<!-- lose: written by", "<!-- win: written by")
    with pytest.raises(ValueError, match="no place for: lose"):
        page(text, RESULT)


def test_a_result_that_has_changed_changes_its_part_and_nothing_else() -> None:
    other = json.loads(json.dumps(RESULT))
    other["speed"]["native"]["default"]["web"] = [1.25] * RESULT["about"]["speed"]["rounds"]
    before, after = PAGE.read_text("utf-8"), page(PAGE.read_text("utf-8"), other)
    start, end = "<!-- web: written by bench/peers/page.py -->", "<!-- end of web -->"
    assert "| FastAPI's BackgroundTasks | 1.2" in after.partition(start)[2].partition(end)[0]
    assert after.partition(start)[0] == before.partition(start)[0]
    assert (
        after.partition("<!-- end of latency -->")[0].partition(end)[2]
        == before.partition("<!-- end of latency -->")[0].partition(end)[2]
    )


def test_the_plot_is_xml_and_has_a_row_each_system() -> None:
    drawn = ElementTree.fromstring(plot(RESULT))
    texts = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count(BY_NAME["postlude-sqlite"].title) == 3


def test_each_peer_has_pins_of_its_own_and_they_are_exact() -> None:
    for system in SYSTEMS:
        if not system.environment:
            continue
        lines = (REQUIREMENTS / f"{system.environment}.txt").read_text("utf-8").split()
        assert all("==" in line for line in lines), system.name
        for package in system.packages:
            assert any(line.startswith(f"{package}==") for line in lines), package


def test_summary_of_five_rounds() -> None:
    assert Summary.of([5.0, 1.0, 3.0, 2.0, 4.0]) == Summary(3.0, 2.0, 4.0, 1.0, 5.0)


def test_summary_of_one_round_is_that_round() -> None:
    assert Summary.of([7.0]) == Summary(7.0, 7.0, 7.0, 7.0, 7.0)


@pytest.mark.parametrize("rounds", [[100.0, 110.0, 120.0], [70.0, 80.0, 85.0], [95.0, 99.0, 101.0]])
def test_a_median_inside_the_yardsticks_range_is_no_difference(rounds: list[float]) -> None:
    assert times(rounds, [80.0, 100.0, 110.0]) is None


@pytest.mark.parametrize("rounds, found", [([111.0, 111.0, 200.0], 1.3875), ([40.0, 50.0, 55.0], 0.5)])
def test_one_outside_of_it_is_told_by_its_ratio(rounds: list[float], found: float) -> None:
    assert times(rounds, [80.0, 100.0, 110.0]) == pytest.approx(found)


def test_ratios_are_of_the_same_round() -> None:
    # The machine was slower in the later rounds, for both; the medians' own ratio would be 3.75.
    assert times([300.0, 200.0, 400.0], [100.0, 50.0, 80.0]) == 4.0


def test_an_outcome_tells_lost_from_stuck() -> None:
    seen = record.Seen()
    for number in (1, 2, 2, 3):
        seen.starts[number] += 1
    for number in (1, 2, 2):
        seen.ends[number] += 1
    seen.ended = [10.0, 11.0, 12.5]
    assert Outcome.of({1, 2, 3, 4, 5}, seen, 1, 10.0) == Outcome(5, 2, 1, 1, 1, None)
    assert Outcome.of({1, 2}, seen, 9, 10.0) == Outcome(2, 0, 0, 1, 1, 2.5)


@pytest.mark.parametrize(
    "outcome, text",
    [
        (Outcome(60, 0, 0, 0, 0, 1.2), "all 60 once, 1 s"),
        (Outcome(60, 2, 8, 0, 0, None), "**2 lost**, **8 stuck** of 60"),
        (Outcome(60, 0, 0, 4, 1, 4.9), "4 begun again, 1 done twice of 60, 5 s"),
    ],
)
def test_what_became_of_jobs_in_words(outcome: Outcome, text: str) -> None:
    assert became({name: getattr(outcome, name) for name in Outcome.__slots__}) == text


def test_an_error_is_not_taken_for_a_good_outcome() -> None:
    assert became({"error": "RuntimeError: it did not start"}) == "could not be counted"


def test_jobs_leave_their_starts_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "record"
    monkeypatch.setenv("PEERS_RECORD", str(file))
    record.job(7, 0.0)
    record.job(7, 0.0)
    with file.open("ab") as cut:
        cut.write(b"half a line")
    seen = record.read(file)
    assert seen.starts == {7: 2}
    assert seen.ends == {7: 2}
    assert not seen.busy


def test_every_part_is_made() -> None:
    for name, part in PARTS.items():
        assert list(part(RESULT)), name
