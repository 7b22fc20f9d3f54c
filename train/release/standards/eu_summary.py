"""The summary of the training content for Article 53(1)(d) of Regulation (EU) 2024/1689, by the Commission's template.

Each field is filled or not applicable; `eu_summary.md.jinja` beside this module has them all.
"""

from pathlib import Path

from train.release.cards.data_card import written
from train.release.cards.facts import Facts
from train.release.cards.statistics import UNITS
from train.release.cards.templates import markdown
from train.release.standards import reuse

SIZES = {"less than 1 billion tokens": 10**9, "1 billion to 10 trillion tokens": 10**13, "more": float("inf")}
GENERAL_PURPOSE = 1e23  # operations in training; the indicative criterion of the Commission's guidelines of July 2025
PLACES = {"pypi": "public", "hub": "public", "stories": "synthetic"}  # of kinds of sources; all others are "other"


def eu_summary(release: Path) -> bytes:
    """`provenance/eu_training_summary.md`."""
    facts, (head, sections, _) = Facts(release), written(release)
    return markdown(
        "standards/eu_summary.md.jinja",
        facts=facts,
        head=head,
        sections=sections,
        limit=GENERAL_PURPOSE,
        size=next(name for name, most in SIZES.items() if facts.statistics["tokens"] < most),
        units=UNITS,
        standings=reuse.by_standing(facts.terms),
        sources={kind: listed(facts, kind) for kind in ("public", "synthetic", "other")},
    )


def listed(facts: Facts, kind: str) -> str:
    """The sources that belong in a field of the template; empty when there are none."""
    return "; ".join(
        f"{source['purl']} ({source['attribution']}; {', '.join(source['under'])})"
        for source in facts.sources
        if PLACES.get(source["kind"], "other") == kind
    )
