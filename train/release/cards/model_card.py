"""`README.md`, the model card, and the citation. Every number in them comes from a record.

Both are functions of the release's folder and read nothing else, so `verify` writes them anew and compares bytes.
`model_card.md.jinja` beside this module is the card.
"""

from pathlib import Path

from train.release.cards.facts import CHANCE, OWN, Facts
from train.release.cards.markdown import front_matter
from train.release.cards.templates import data, markdown
from train.release.seeds import spread
from train.release.standards import forms, osaid


def model_card(release: Path) -> bytes:
    """`README.md`: what the model is, how good, how made, and how to check each of these."""
    facts, table = Facts(release), osaid.table(release)
    pairs = facts.record("evaluation/minimal_pairs.json").values()
    groups = [group for whole in pairs for group in whole["groups"].items()]
    head = {
        "license": facts.about.licence.lower(),
        "language": facts.languages,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["open-source-ai", "reproducible"],
    }
    return markdown(
        "cards/model_card.md.jinja", front_matter=front_matter(head), facts=facts, own=OWN, chance=CHANCE,
        below=[(name, score) for name, score in groups if score["value"] < CHANCE], table=table,
        spread=spread([run.scores for run in facts.about.seeds]) if facts.about.seeds else {},
        verdict=osaid.verdict(release, table), forms=forms.status(release),
    )  # fmt: skip


def citation(release: Path) -> bytes:
    """`CITATION.cff`, version 1.2.0."""
    return data("cards/citation.cff.jinja", about=Facts(release).about).encode()
