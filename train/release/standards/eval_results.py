"""`.eval_results/scores.yaml`: scores on evaluation sets, as the Hugging Face hub reads them; the one hidden folder.

A set that came from the hub is called by its dataset and commit there; any other by its name, which no benchmark of the
hub need have: what exactly it is, the notes say. Values are shares, as in the records.
"""

from pathlib import Path
from typing import Any

from packageurl import PackageURL

from train.evaluation.multiple_choice import MEASURES
from train.release.cards.facts import Facts
from train.release.cards.templates import data

PLACE = ".eval_results/scores.yaml"


def eval_results(release: Path) -> bytes:
    """A list of entries, each a mapping."""
    entries = data("standards/scores.yaml.jinja", facts=Facts(release), dataset=dataset, measures=MEASURES)
    return entries.encode() or b"[]\n"


def dataset(purl: str, task: str) -> dict[str, Any]:
    """What a set is called on the hub, and its revision if it is from there."""
    source = PackageURL.from_string(purl)
    name = f"{source.namespace or ''}/{source.name}".strip("/").removeprefix("datasets/")
    revision = {"revision": source.version} if source.type == "huggingface" else {}
    return {"id": name, **revision, "task_id": task}
