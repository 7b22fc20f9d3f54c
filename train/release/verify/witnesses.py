"""The check of the logs: of what is somebody's word, its form; of what follows from config and log, the values."""

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from train.data.tokenizer import load as load_tokenizer
from train.differences import first_difference
from train.model import Transformer
from train.release import bundle
from train.release.standards.sbom import bill_of_environment, component
from train.release.verify.forms import FORMS, unformed
from train.release.verify.layout import witnesses as paths
from train.release.view import Release
from train.training.meters import operations

COUNTED = 0.05  # share by which torch's count of operations may differ between its versions


def witnesses(release: Release) -> list[str]:
    """Each log holds what its writer writes and no more; what follows from config, weights and log is derived again."""
    logs = {path: release.json(path) for path in paths(release) if path.rpartition("/")[2] in FORMS}
    checks = (_retrieved, _operations, _packages, _resources)
    wrong = (f"{path}: {line}" for path, log in logs.items() for line in unformed(FORMS[path.rpartition("/")[2]], log))
    return list(wrong) or [line for check in checks for line in check(release, logs)]


def _retrieved(release: Release, logs: Mapping[str, Any]) -> Iterator[str]:
    """Of each source that is fetched there is a record, and of no other."""
    for name, records in (("raw", "data/sources.json"), ("benchmarks", "evaluation/data/sets.json")):
        fetched = {each["slug"] for each in release.json(records) if each.get("kind") in ("pypi", "hub")}
        path = f"logs/{name}/retrieved.json"
        yield from (f"{path}: {slug}: only here, or not here" for slug in sorted(fetched ^ logs.get(path, {}).keys()))


def _operations(release: Release, logs: Mapping[str, Any]) -> Iterator[str]:
    path = "logs/weights/operations.json"
    model = Transformer(bundle.model_config(release.path), load_tokenizer(release.path).vocabulary)
    recorded, again = logs[path], operations(model)
    if recorded["by_formula"] != again["by_formula"]:
        yield f"{path}: by_formula {recorded['by_formula']}, the config gives {again['by_formula']}"
    if not math.isclose(recorded["counted"], again["counted"], rel_tol=COUNTED):
        yield f"{path}: counted {recorded['counted']}, counted again {again['counted']}"


def _packages(release: Release, logs: Mapping[str, Any]) -> Iterator[str]:
    path = "logs/packages.json"
    recorded = logs[path]["components"]
    derived = [component(each["name"], each["version"]) for each in recorded]
    names = [each["bom-ref"] for each in derived]
    if names != sorted(set(names)):
        yield f"{path}: components in another order, or twice"
    if any(len(each.get(key, "1")) != 1 for each in recorded for key in ("licenses", "hashes")):
        yield f"{path}: a component with several licences or digests"
    again = [{**each, **one} for each, one in zip(recorded, derived, strict=True)]
    if difference := first_difference(logs[path], bill_of_environment(again)):
        yield f"{path}: {difference}"


def _resources(release: Release, logs: Mapping[str, Any]) -> Iterator[str]:
    """The steps of the processes lead to the last one, which none reaches again."""
    path, steps = "logs/weights/resources.jsonl", release.config.training.steps
    parts = logs[path]
    backwards = any(part["from_step"] > part["to_step"] for part in parts)
    again = any(a["to_step"] == steps != b["from_step"] for a, b in pairwise(parts))
    if backwards or again or not parts or parts[-1]["to_step"] != steps:
        yield f"{path}: steps that do not lead to step {steps}, or twice"
