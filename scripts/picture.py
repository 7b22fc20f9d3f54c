"""Draw a release: the pipeline with its numbers, and the head of its page. `picture.py RELEASE > docs/release.svg`."""

import json
import sys
from html import escape
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from train.humanize import brief, percent
from train.release.cards import report
from train.release.cards.facts import Facts

INK, SOFT, LINE, GREEN, RED = "#1f1d1a", "#625e57", "#d8d2c6", "#0a6f68", "#b3471d"


def text(x: float, y: float, words: object, size: int = 13, colour: str = INK, more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" {more}>{escape(str(words))}</text>'


def box(x: float, y: float, width: float, height: float, fill: str = "#ffffff", stroke: str = LINE) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="7" fill="{fill}" stroke="{stroke}"/>'


def picture(release: Path) -> str:
    """The drawing, a function of the release's records."""
    facts, identity = Facts(release), json.loads((release / "MANIFEST.json").read_bytes())["identity"]
    kept, tokens = facts.counts["kept"]["documents"], sum(split["tokens"] for split in facts.tokens.values())
    scores = report.scores(facts.record("evaluation/scores.json"))
    group = next(each for each in scores if each["unit"].startswith("bits per byte"))
    bits = dict(group["scores"])
    sets = facts.record("evaluation/data/sets.json")
    stages = {
        "raw": (len(facts.sources), "pinned sources"),
        "documents": (brief(facts.counts["raw"]["documents"]), "with licences"),
        "benchmarks": (brief(sum(each["items"] for each in sets)), "items"),
        "selected": (brief(kept), "kept, by rules"),
        "tokenizer": (brief(facts.config["tokenizer"]["vocabulary"]), "tokens"),
        "tokens": (brief(tokens), "in order"),
        "weights": (brief(facts.computed["parameters"]), "parameters"),
        "evaluation": (f"{bits['bits per byte']['value']:.2f}", "bits per byte"),
        "release": (identity[:7], "identity"),
    }
    drawn = []
    for number, (name, (value, unit)) in enumerate(stages.items()):
        x = 16 + number * 104
        drawn += [box(x, 16, 94, 74), text(x + 9, 36, name, 12, GREEN, 'font-weight="600"')]
        drawn += [text(x + 9, 59, value, 16), text(x + 9, 78, unit, 11, SOFT)]
        drawn += [f'<path d="M{x - 9} 53h7m-3 -3l3 3l-3 3" fill="none" stroke="{SOFT}"/>'] * bool(number)
    drawn += [box(16, 106, 926, 330, "#faf8f4"), text(40, 140, "A MODEL, TRAINED IN THE OPEN", 11, GREEN)]
    drawn += [text(40, 176, f"{facts.about.title} {facts.about.version}", 27, INK, 'font-family="Georgia,serif"')]
    complete = facts.record("openness.json")["verdict"]["osaid_1_0"]
    tiles = {
        "parameters": brief(facts.computed["parameters"]), "tokens read": brief(facts.computed["tokens_seen"]),
        "Open Source AI Definition": "complete" if complete else "incomplete",
        "numerics": facts.config["training"]["numerics"]["contract"],
    }  # fmt: skip
    for number, (name, value) in enumerate(tiles.items()):
        x = 40 + number * 220
        drawn += [box(x, 196, 208, 58), text(x + 12, 220, value, 18), text(x + 12, 241, name, 12, SOFT)]
    log = [json.loads(line) for line in (release / "logs/weights/log.jsonl").read_text("utf-8").splitlines()]
    chart = report.charts(log)[0]
    drawn.append(text(40, 282, f"{chart['title']}, {chart['unit']}, by step", 13))
    for line, colour in zip(chart["lines"], (GREEN, RED), strict=False):
        path = f'<path d="{line["path"]}" fill="none" stroke="{colour}" vector-effect="non-scaling-stroke"/>'
        square = 'x="70" y="294" width="380" height="118" viewBox="0 0 100 100" preserveAspectRatio="none"'
        drawn.append(f"<svg {square}>{path}</svg>")
    names = [(line["name"], colour) for line, colour in zip(chart["lines"], (GREEN, RED), strict=False)]
    drawn += [text(330 + 60 * number, 282, name, 12, colour) for number, (name, colour) in enumerate(names)]
    drawn += [text(40, 298 + 1.18 * at, tick, 11, SOFT) for at, tick in chart["up"]]
    drawn.append(text(500, 282, "Bits per byte of text it had not seen: less is better", 13))
    for number, (name, score) in enumerate(bits.items()):
        y, own = 300 + 34 * number, name == "bits per byte"
        drawn += [text(500, y + 15, "this model" if own else name, 13, GREEN if own else SOFT)]
        bar = box(620, y, 2.4 * percent(score["value"], group["most"]), 20, GREEN if own else LINE)
        drawn += [bar, text(870, y + 15, f"{score['value']:.3f}")]
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 958 452" font-family="system-ui,sans-serif">'
    return "\n".join([head, '<rect width="958" height="452" fill="#f1ede4"/>', *drawn, "</svg>"])


if __name__ == "__main__":
    print(picture(Path(sys.argv[1])))
