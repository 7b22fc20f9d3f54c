"""`report.html`: what a release is, on one page for people. It tells times, and so is a witness.

Everything on the page is read from the release's records; `report.html.jinja` beside this module says how it looks.
The page asks nobody for anything: script, style and pictures stand in it, and its policy makes browsers hold to that.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from operator import itemgetter
from pathlib import Path
from typing import Any

from train.artifact import read_json, read_manifest
from train.data.filters import rules
from train.evaluation.multiple_choice import MEASURES
from train.humanize import percent
from train.layout import ARTIFACTS
from train.release.about import OWN
from train.release.attest import dsse
from train.release.cards.facts import CHANCE, Facts
from train.release.cards.statistics import QUANTILES
from train.release.cards.templates import html

DRAWN = 400  # points of a curve
ROWS = 12  # of the table beside the curves
CURVES = (
    ("Loss", "nats a token: less is better", {"loss": "training", "held_out_loss": "held out"}),
    ("Learning rate", "", {"learning_rate": "learning rate"}),
    ("Gradient norm", "", {"gradient_norm": "gradient norm"}),
)  # title, unit, name in the log -> name on the page

Curve = Sequence[tuple[float, float]]  # step, value


def report(release: Path, identity: str) -> bytes:
    """The page of the release whose identity is `identity`. The same folder gives the same bytes."""
    facts, log = Facts(release), read_log(release)
    return html(
        "cards/report.html.jinja", facts=facts, identity=identity, charts=charts(log),
        log=log[::-1][:: math.ceil(len(log) / ROWS)][::-1], scores=scores(facts.record("evaluation/scores.json")),
        measures=MEASURES, chance=CHANCE, described=rules.described(),
        lengths=[strip(unit, lengths) for unit, lengths in facts.statistics["length"].items()],
        exists=lambda path: (release / path).exists(), statements=dsse.shown(release),
        rungs=[(rung, rung.command(facts.name)) for rung in facts.rungs], **chain(release), **took(release, log),
    )  # fmt: skip


def loss_chart(release: Path) -> bytes:
    """`logs/weights/loss.svg`, for the model card: the first chart of the page as a picture of its own."""
    return html("cards/loss.svg.jinja", chart=charts(read_log(release))[0])


def read_log(release: Path) -> list[dict[str, Any]]:
    return read_json(release / "logs" / "weights" / "log.jsonl")  # type: ignore[no-any-return]


# How it learned ------------------------------------------------------------------------------------------------------


def charts(log: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is drawn of the log: each chart with its lines, and its ticks as shares of width and height."""
    lines = [(t, u, {n: curve for key, n in keys.items() if (curve := points(log, key))}) for t, u, keys in CURVES]
    return [chart(title, unit, curves) for title, unit, curves in lines if curves]


def points(records: Iterable[Mapping[str, Any]], key: str) -> Curve:
    """A curve of at most about DRAWN points, the last one among them."""
    every = [(record["step"], record[key]) for record in records if key in record]
    stride = math.ceil(len(every) / DRAWN) or 1
    return every[::-1][::stride][::-1]


def chart(title: str, unit: str, curves: Mapping[str, Curve]) -> dict[str, Any]:
    """A chart on a square of 100 by 100, y downwards, which the page stretches over the room it has."""
    xs, ys = ([point[axis] for curve in curves.values() for point in curve] for axis in (0, 1))
    across, up = ticks(0, max(xs)), ticks(min(ys), max(ys))
    left, right, low, high = 0, max(xs), up[0], up[-1]

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return round(100 * (point[0] - left) / (right - left), 2), round(100 * (high - point[1]) / (high - low), 2)

    lines = [
        {"name": name, "last": curve[-1][1], "least": min(y for _, y in curve), "sparse": len(curve) * 4 < len(xs),
         "path": "M" + " L".join(f"{x} {y}" for x, y in map(at, curve)), "dots": [at(point) for point in curve]}
        for name, curve in curves.items()
    ]  # fmt: skip
    return {
        "title": title,
        "unit": unit,
        "lines": lines,
        "across": [(at((tick, 0))[0], f"{tick:,.0f}") for tick in across if tick <= right],
        "up": [(at((0, tick))[1], f"{tick:.3g}") for tick in up],
        "data": {"domain": [left, right], "series": [[name, curve] for name, curve in curves.items()]},
    }


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers from at most `low` to at least `high`, about `wanted` apart."""
    span = (high - low) or abs(high) or 1.0
    size = 10.0 ** math.floor(math.log10(span / wanted))
    step = next(size * factor for factor in (1, 2, 5, 10) if span / (size * factor) <= wanted)
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    return [round(number * step, 12) for number in range(first, last + 1)]


# How well ------------------------------------------------------------------------------------------------------------


def scores(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The scores by unit, the smallest first; `most` is what bars are shares of: the whole, or the largest number."""
    units: dict[str, list[tuple[str, Any]]] = {}
    for name, score in measured.items():
        called = name.replace("_", " ") if name in OWN else f"baseline: {name.replace('_', ' ')}"
        units.setdefault(score["unit"], []).append((called, score))
    groups = []
    for unit, members in units.items():
        members.sort(key=lambda member: (member[1]["value"], member[0]))
        share = unit.startswith("share")
        most = 1.0 if share else max(score.get("high", score["value"]) for _, score in members)
        groups.append({"unit": unit, "better": "more" if share else "less", "most": most, "scores": members})
    return sorted(groups, key=lambda group: -len(group["scores"]))


# What it was made of -------------------------------------------------------------------------------------------------


def strip(unit: str, quantiles: Mapping[str, int]) -> dict[str, Any]:
    """The lengths in one unit, and where each quantile lies on a logarithmic scale from the least to the most."""
    low, high = (math.log(max(1, quantiles[end])) for end in ("least", "most"))
    places = {name: percent(math.log(max(1, length)) - low, high - low) for name, length in quantiles.items()}
    return {"unit": unit, "lengths": {name: quantiles[name] for name in QUANTILES}, "at": places}


# How it came about ---------------------------------------------------------------------------------------------------


def chain(release: Path) -> dict[str, Any]:
    """The artifacts in an order in which each comes after what it needs, and an arc for each need."""
    artifacts = {name: read_manifest(release / "provenance" / f"{name}.json") for name in sorted(ARTIFACTS)}
    needs = {name: sorted(manifest.inputs) for name, manifest in artifacts.items()}
    order = list(TopologicalSorter(needs).static_order())
    seconds = {name: read_json(release / "logs" / name / "run.json", "/seconds") for name in order}
    arcs = [(order.index(need), order.index(name)) for name in order for need in artifacts[name].inputs]
    stages = [(artifacts[name], seconds[name]) for name in order]
    return {"stages": stages, "arcs": sorted(arcs), "seconds": sum(seconds.values())}


def took(release: Path, log: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the training took: machine, time, memory, and energy where it was measured."""
    logs = release / "logs" / "weights"
    run, stack = read_json(logs / "run.json"), read_json(logs / "stack.json")
    parts, (began, seconds) = read_json(logs / "resources.jsonl"), itemgetter("began", "seconds")(run)
    joules = [sum(part["energy_joules"].values()) for part in parts if isinstance(part["energy_joules"], dict)]
    speeds = sorted(record["tokens_per_second"] for record in log)
    return {
        "run": run,
        "stack": stack,
        "peak": max(part["peak_bytes"] for part in parts),
        "began": datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "speed": speeds[len(speeds) // 2],
        "energy": sum(joules) / 3.6e6 if joules else None,  # in kilowatt-hours
        "operations_a_second": read_json(release / "provenance/facts.json", "/flops") / seconds,
    }
