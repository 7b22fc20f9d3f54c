"""Draw a release: the pipeline with its numbers, and the head of its page. `picture.py RELEASE > docs/release.svg`."""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from train.terminal import guarded


def picture(release: Path) -> str:
    """The drawing, a function of the release's records."""
    from train.humanize import brief
    from train.initial import identity_of
    from train.release.cards import report
    from train.release.cards.facts import Facts
    from train.release.cards.templates import html

    facts, scores = Facts(release), report.scores(Facts(release).record("evaluation/scores.json"))
    bits = next(each for each in scores if each["unit"].startswith("bits per byte"))
    items = sum(each["items"] for each in facts.record("evaluation/data/sets.json"))
    stages = (
        ("raw", len(facts.sources), "pinned sources"),
        ("documents", brief(facts.counts.raw.documents), "with licences"),
        ("benchmarks", brief(items), "items"),
        ("selected", brief(facts.counts.kept.documents), "kept, by rules"),
        ("tokenizer", brief(facts.config["tokenizer"]["vocabulary"]), "tokens"),
        ("tokens", brief(sum(split["tokens"] for split in facts.tokens.values())), "in order"),
        ("weights", brief(facts.computed["parameters"]), "parameters"),
        ("evaluation", f"{dict(bits['scores'])['bits per byte']['value']:.2f}", "bits per byte"),
        ("release", identity_of(release)[:7], "identity"),
    )
    complete = facts.record("openness.json")["verdict"]["osaid_1_0"]
    tiles = {
        "parameters": brief(facts.computed["parameters"]), "tokens read": brief(facts.computed["tokens_seen"]),
        "Open Source AI Definition": "complete" if complete else "incomplete",
        "numerics": facts.config["training"]["numerics"]["contract"],
    }  # fmt: skip
    chart, named = report.charts(report.read_log(release))[0], {"facts": facts, "stages": stages, "tiles": tiles}
    return html("cards/picture.svg.jinja", **named, bits=bits, chart=chart).decode()


if __name__ == "__main__":
    guarded(lambda words: print(picture(Path(*words))), sys.argv[1:])
