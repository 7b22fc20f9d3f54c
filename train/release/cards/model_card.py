"""`README.md`, the model card, the citation, and scores for the hub. Every number in them comes from a record.

All are functions of the release's folder and read nothing else, so `verify` writes them anew and compares bytes.
`model_card.md.jinja` beside this module is the card.
"""

from pathlib import Path
from typing import Any

from packageurl import PackageURL

from train.evaluation.multiple_choice import MEASURES
from train.release.about import OWN, spread
from train.release.cards.facts import CHANCE, Facts
from train.release.cards.templates import data, front_matter, markdown
from train.release.standards import forms, osaid

SCORES = ".eval_results/scores.yaml"  # in the one hidden folder


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


def eval_results(release: Path) -> bytes:
    """`.eval_results/scores.yaml`: a list of entries, each a mapping, as the Hugging Face hub reads them.

    A set that came from the hub is called by its dataset and commit there; any other by its name, without an owner, as
    the benchmarks there have one: what exactly it is, the notes say. Values are shares, as in the records.
    """
    entries = data("standards/scores.yaml.jinja", facts=Facts(release), dataset=dataset, measures=MEASURES)
    return entries.encode() or b"[]\n"


def dataset(purl: str, task: str) -> dict[str, Any]:
    """What a set is called on the hub, and its revision if it is from there."""
    source = PackageURL.from_string(purl)
    if source.type != "huggingface":
        return {"id": source.name.rpartition("/")[2], "task_id": task}
    name = f"{source.namespace}/{source.name}".removeprefix("datasets/")
    return {"id": name, "revision": source.version, "task_id": task}
