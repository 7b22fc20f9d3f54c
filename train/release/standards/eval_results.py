"""`.eval_results/scores.yaml`: scores on evaluation sets, as the Hugging Face hub reads them; the one hidden folder.

A set that came from the hub is called by its dataset and commit there; any other by its name, which no benchmark of the
hub need have: what exactly it is, the notes say. Values are shares, as in the records.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packageurl import PackageURL

from train.evaluation.multiple_choice import MEASURES
from train.release.cards.facts import Facts
from train.release.cards.markdown import yaml

PLACE = ".eval_results/scores.yaml"


def eval_results(release: Path) -> bytes:
    """A list of entries, each a mapping."""
    written = (yaml(entry).strip().replace("\n", "\n  ") for entry in entries(Facts(release)))
    return "".join(f"- {entry}\n" for entry in written).encode() or b"[]\n"


def entries(facts: Facts) -> Iterator[dict[str, Any]]:
    """One entry a score: of minimal pairs the average over groups, of questions `acc` and `acc_norm`."""
    about = {"date": facts.about["date"], "evaluation_framework": facts.tool}
    for name, record in facts.record("evaluation/minimal_pairs.json").items():
        score, counted = record["average"], f"{record['pairs']} minimal pairs, chance 0.5"
        yield {**entry(record, name, score, counted), **about}
    for name, record in facts.record("evaluation/multiple_choice.json").items():
        for measure in MEASURES:
            counted = f"{measure} of {record['items']} questions, chance {record['chance']}"
            yield {**entry(record, f"{name}_{measure}", record[measure], counted), **about}


def entry(record: dict[str, Any], task: str, score: dict[str, Any], counted: str) -> dict[str, Any]:
    """What an entry tells of one score of the set in `record`."""
    interval = f"{100 * score['confidence']:g}% interval {score['low']} to {score['high']}"
    what = f"zero-shot; {record['purl']}, SHA-256 of its items {record['sha256']}"
    notes = f"{counted}, {interval}, byte 4-grams {score['byte_4gram']}; {what}"
    return {"dataset": {**dataset(record["purl"]), "task_id": task}, "value": score["value"], "notes": notes}


def dataset(purl: str) -> dict[str, Any]:
    """What a set is called on the hub, and its revision if it is from there."""
    source = PackageURL.from_string(purl)
    name = f"{source.namespace or ''}/{source.name}".strip("/").removeprefix("datasets/")
    return {"id": name, **({"revision": source.version} if source.type == "huggingface" else {})}
