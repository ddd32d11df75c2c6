"""Writes the measured parts of docs/comparison.md, and its plot, from bench/results/peers.json.

    python -m bench.peers.page

The words around them are written by hand. `python -m bench.peers` measures, and calls this at its end.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import jinja2

from bench.peers.figures import Summary, times
from bench.peers.systems import BY_NAME, SYSTEMS, System

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "comparison.md"
PLOT: Final = ROOT / "docs" / "images" / "comparison.svg"
TEMPLATE: Final = Path(__file__).with_name("plot.svg.j2")
RESULTS: Final = ROOT / "bench" / "results" / "peers.json"
OURS: Final = "postlude-sqlite"
"""What others are compared with."""

_PART: Final = re.compile(
    r"(<!-- (\w+): written by bench/peers/page\.py -->\n).*?(<!-- end of \2 -->)", re.DOTALL
)

Results = dict[str, Any]


def page(text: str, results: Results) -> str:
    """Return the page with its measured parts made anew.

    Raises:
        KeyError: it has a part that nobody writes.
        ValueError: it has not all parts.
    """
    parts = [found[1] for found in _PART.findall(text)]
    if missing := PARTS.keys() - set(parts):
        raise ValueError(f"{PAGE.name} has no place for: {', '.join(sorted(missing))}")

    def written(found: re.Match[str]) -> str:
        lines = "".join(f"{line}\n" for line in PARTS[found[2]](results))
        return f"{found[1]}\n{lines}\n{found[3]}"

    return _PART.sub(written, text)


def write() -> None:
    """Write both."""
    results = json.loads(RESULTS.read_text("utf-8"))
    PAGE.write_text(page(PAGE.read_text("utf-8"), results), "utf-8")
    PLOT.write_text(plot(results), "utf-8")


# -- what was measured on ---------------------------------------------------------------------


def _about(results: Results) -> Iterator[str]:
    machine, about = results["machine"], results["about"]
    servers = ", ".join(f"{name} {version}" for name, version in machine["servers"].items())
    yield (
        f"{machine['cores']} cores ({machine['processor']}), Python {machine['python']}, "
        f"FastAPI {machine['fastapi']}, uvicorn {machine['uvicorn']} (asyncio, h11), {servers}."
    )
    yield ""
    for part, what in (("speed", "Speeds"), ("kills", "Kills")):
        if told := about.get(part):
            rounds = "1 round" if told["rounds"] == 1 else f"{told['rounds']} rounds"
            yield (
                f"* {what}: {told['date']}, {rounds}, {told['minutes']:.0f} minutes; "
                f"load average {told['load_before']} before, {told['load_after']} after."
            )
    speed = about.get("speed")
    if speed and (speed["rounds"] < 5 or speed["load_before"] > 1):
        yield ""
        yield (
            "**Preliminary:** the speeds are of fewer than five rounds, or other work ran on the machine. "
            "Read them as orders of magnitude; read the counts of lost jobs."
        )
    for name, reason in results["missing"].items():
        yield ""
        yield f"{BY_NAME[name].title} could not be installed: {reason}"


# -- speed ------------------------------------------------------------------------------------


def _rows(results: Results, figure: str) -> Iterator[tuple[System, str, list[float]]]:
    for system in SYSTEMS:
        for mode in system.modes:
            if rounds := results["speed"].get(system.name, {}).get(mode, {}).get(figure):
                yield system, mode, rounds


def _named(system: System, mode: str) -> str:
    title = f"**{system.title}**" if system.ours else system.title
    return f"{title} (durable)" if mode == "durable" else title


def _compared(
    results: Results, figures: Sequence[str], heads: Sequence[str], yardstick: str
) -> Iterator[str]:
    yield f"| | {' | '.join(heads)} | to {BY_NAME[yardstick].title} |"
    yield "|---" * (len(heads) + 2) + "|"
    measure = results["speed"].get(yardstick, {}).get("default", {}).get(figures[0], [])
    for system, mode, rounds in _rows(results, figures[0]):
        entry = results["speed"][system.name][mode]
        cells = [_cell(entry[figure]) for figure in figures]
        ratio = "" if system.name == yardstick else _ratio(rounds, measure)
        yield f"| {_named(system, mode)} | {' | '.join(cells)} | {ratio} |"


def _cell(rounds: Sequence[float]) -> str:
    found = Summary.of(rounds)
    if len(rounds) == 1:
        return _number(found.median)
    return f"{_number(found.median)} ({_number(found.low)} to {_number(found.high)})"


def _ratio(rounds: Sequence[float], yardstick: Sequence[float]) -> str:
    if len(rounds) != len(yardstick):
        return ""  # a round of one of them has failed: there is nothing to compare it with
    found = times(rounds, yardstick)
    return "none" if found is None else f"{found:.2g}" if found < 10 else f"{found:,.0f}"


def _number(value: float) -> str:
    return f"{value:.2g}" if value < 1 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _web(results: Results) -> Iterator[str]:
    return _compared(results, ["web"], ["requests a second"], "native")


def _drain(results: Results) -> Iterator[str]:
    return _compared(results, ["drain"], ["jobs a second"], OURS)


def _latency(results: Results) -> Iterator[str]:
    return _compared(results, ["p50", "p99"], ["p50, ms", "p99, ms"], OURS)


# -- kills ------------------------------------------------------------------------------------


def _kills(mode: str) -> Callable[[Results], Iterator[str]]:
    def table(results: Results) -> Iterator[str]:
        yield "| | web process killed | worker killed | broker or database killed |"
        yield "|---|---|---|---|"
        for system in SYSTEMS:
            modes = results["kills"].get(system.name, {})
            if mode not in modes:
                continue
            told = {what: became(outcome) for what, outcome in modes[mode].items()}
            servers = [f"{BY_SERVER[what]}: {text}" for what, text in told.items() if what in BY_SERVER]
            cells = [told.get("web", ""), told.get("worker", "none of its own"), "; ".join(servers) or "none"]
            yield f"| {_named(system, 'default')} | {' | '.join(cells)} |"

    return table


BY_SERVER: Final = {"redis": "Redis", "rabbitmq": "RabbitMQ", "postgres": "PostgreSQL"}


def became(outcome: dict[str, Any]) -> str:
    """Say what became of the jobs of one kill."""
    if "error" in outcome:
        return "could not be counted"
    said = [f"**{outcome[what]} {what}**" for what in ("lost", "stuck") if outcome[what]]
    said += [f"{outcome['again']} begun again"] if outcome["again"] else []
    said += [f"{outcome['twice']} done twice"] if outcome["twice"] else []
    every = f"of {outcome['accepted']}" if said else f"all {outcome['accepted']} once"
    after = "" if outcome["seconds"] is None else f", {outcome['seconds']:.0f} s"
    return f"{', '.join(said)} {every}{after}" if said else f"{every}{after}"


# -- where others are better ------------------------------------------------------------------


def _lose(results: Results) -> Iterator[str]:
    for figure, what, more in (
        ("web", "Requests a second", True),
        ("drain", "Jobs drained a second", True),
        ("p50", "The median latency", False),
    ):
        ours = results["speed"].get(OURS, {}).get("default", {}).get(figure, [])
        better = [
            (found, f"{_named(system, mode)} {found:.2g} {'times' if more else 'of the time'}")
            for system, mode, rounds in _rows(results, figure)
            if not system.ours and system.name != "none" and len(rounds) == len(ours)
            if (found := times(rounds, ours)) is not None and (found > 1) is more
        ]
        said = ", ".join(text for _, text in sorted(better, reverse=more))
        yield f"* {what}, to Postlude on SQLite: {said or 'none of the others is better'}."
    yield from _again(results)


def _again(results: Results) -> Iterator[str]:
    """Say where a kill made us do again what another system did not."""
    for what, name in (("web", "Web process"), ("worker", "Worker")):
        ours = results["kills"].get(OURS, {}).get("default", {}).get(what, {})
        count = ours.get("again", 0)
        spared = [
            _named(system, mode)
            for system in SYSTEMS
            if not system.ours
            for mode, kinds in results["kills"].get(system.name, {}).items()
            if (one := kinds.get(what)) and "error" not in one
            if not one["lost"] and not one["stuck"] and one["again"] < count
        ]
        if spared:
            yield (
                f"* {name} killed: Postlude on SQLite begins {count} jobs again; {ours['twice']} of them had "
                f"come to their end. Fewer again, and none lost or stuck: {', '.join(spared)}."
            )


def _settings(results: Results) -> Iterator[str]:
    yield "| | version | default | durable |"
    yield "|---|---|---|---|"
    for system in SYSTEMS:
        if system.name in results["versions"]:
            known = results["versions"][system.name]
            versions = ", ".join(known.values() if len(known) == 1 else map(" ".join, known.items()))
            name, durable = _named(system, "default"), system.durable or "the same"
            yield f"| {name} | {versions} | {system.default} | {durable} |"


PARTS: Final[dict[str, Callable[[Results], Iterator[str]]]] = {
    "about": _about,
    "web": _web,
    "drain": _drain,
    "latency": _latency,
    "kills": _kills("default"),
    "kills_durable": _kills("durable"),
    "lose": _lose,
    "settings": _settings,
}

# -- the plot ---------------------------------------------------------------------------------

_WIDTH: Final = 860
_LEFT: Final = 260
_RIGHT: Final = 110
_ROW: Final = 20
_COLOURS: Final = {"ours": "#0b6e4f", "yardstick": "#8a8a8a", "other": "#3a5a9b"}


def plot(results: Results) -> str:
    """Return the plot: a panel a figure, a row a system; a dot is a median, its bar joins the quartiles."""
    panels: list[dict[str, Any]] = []
    top = 8
    for figure, title in (
        ("web", "Requests a second, each adds a job (more is better)"),
        ("drain", "Jobs drained a second, one worker (more is better)"),
        ("p50", "From adding a job to its start, median, ms (less is better)"),
    ):
        rows = list(_rows(results, figure))
        if rows:
            panels.append(_panel(title, rows, top))
            top += panels[-1]["bottom"] + 36
    template = jinja2.Template(TEMPLATE.read_text("utf-8"), keep_trailing_newline=True)
    drawn: str = template.render(panels=panels, width=_WIDTH, height=top, left=_LEFT)
    return drawn


def _panel(title: str, rows: Sequence[tuple[System, str, list[float]]], top: int) -> dict[str, Any]:
    found = [(system, mode, Summary.of(rounds)) for system, mode, rounds in rows]
    first = math.floor(math.log10(min(one.low for _, _, one in found)))
    last = math.ceil(math.log10(max(one.high for _, _, one in found)))

    def at(value: float) -> float:
        share = (math.log10(value) - first) / max(1, last - first)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    return {
        "title": title,
        "top": top,
        "bottom": 34 + _ROW * len(found),
        "ticks": [{"x": at(10.0**power), "text": f"{10.0**power:,g}"} for power in range(first, last + 1)],
        "rows": [
            {
                "name": f"{system.title} (durable)" if mode == "durable" else system.title,
                "ours": system.ours,
                "colour": _COLOURS[_kind(system)],
                "y": 42 + _ROW * number,
                "x": at(one.median),
                "low": at(one.low),
                "high": at(one.high),
                "text": _number(one.median),
            }
            for number, (system, mode, one) in enumerate(found)
        ],
    }


def _kind(system: System) -> str:
    return "ours" if system.ours else "yardstick" if system.name in ("none", "native") else "other"


if __name__ == "__main__":
    write()
